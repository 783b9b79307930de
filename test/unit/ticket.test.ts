import { compactVerify, importJWK, jwtVerify } from 'jose';
import { beforeAll, describe, expect, test } from 'vitest';
import { publicJwkShape } from '../../lib/root-key.ts';
import { signTicket, verifyTicket } from '../../lib/ticket.ts';
import type { Forge } from '../support/forgery.ts';
import { decode, issuer, now, openForge, permission } from '../support/forgery.ts';

let forge: Forge;

beforeAll(async () => {
  forge = await openForge();
});

describe('signTicket', () => {
  test('gives a ticket that says again what it permits, and which key signed it', () => {
    const ticket = signTicket(permission, issuer, forge.signer);

    expect(verifyTicket(ticket, forge.verifier, now)).toEqual({
      permission,
      kid: forge.signer.kid,
    });
  });

  test('gives a JWT that another library verifies, by the key in an endorsement that it verifies too', async () => {
    const ticket = signTicket(permission, issuer, forge.signer);
    const [header] = decode(ticket);
    const options = { algorithms: ['ES256'], issuer, currentDate: now };

    const endorsed = await jwtVerify(
      String(header?.['endorsement']),
      await importJWK(forge.root.publicJwk, 'ES256'),
      {
        ...options,
        typ: 'sallyport-endorsement+jwt',
      },
    );
    const jwk = publicJwkShape.parse(endorsed.payload['jwk']);
    const { payload } = await jwtVerify(ticket, await importJWK(jwk, 'ES256'), {
      ...options,
      typ: 'sallyport-ticket+jwt',
      audience: 'hub',
    });

    expect(header).toMatchObject({ kid: forge.signer.kid });
    expect(payload).toEqual({
      iss: issuer,
      aud: 'hub',
      sub: permission.caller,
      jti: permission.ticket,
      iat: now.getTime() / 1000,
      nbf: now.getTime() / 1000,
      exp: now.getTime() / 1000 + 60,
      session: permission.session,
      target: permission.target,
      protocol: 'ssh',
      host: '10.0.0.4',
      port: 22,
      deadline: now.getTime() / 1000 + 3600,
      terms: { maxConnections: 4 },
      policy: 'digest',
    });
    await expect(
      compactVerify(ticket, await importJWK(forge.root.publicJwk, 'ES256')),
    ).rejects.toThrow('signature');
  });
});
