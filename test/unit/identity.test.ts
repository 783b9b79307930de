import { CompactEncrypt, CompactSign } from 'jose';
import { describe, expect, test } from 'vitest';
import { BrokerError } from '../../lib/failure.ts';
import type { Claims } from '../support/token-factory.ts';
import {
  TestIssuer,
  clientId,
  createTestIdentify,
  createTokenKey,
  entraClaims,
  entraIssuers,
  entraUrl,
  noon,
  signParts,
  signToken,
  tenant,
  toPart,
} from '../support/token-factory.ts';

const rsa = createTokenKey('RS256');
const ec = createTokenKey('ES256');
const stranger = createTokenKey('RS256');
const claims: Claims = entraClaims['v2-user'];
const header = { alg: 'RS256', typ: 'JWT', kid: rsa.kid };
const seconds = noon.getTime() / 1000;
const otherTenant = '77770000-0000-4000-8000-000000000077';

const issuer = new TestIssuer(entraUrl, [rsa.jwk, ec.jwk]);
const identify = createTestIdentify(entraIssuers, issuer.fetchJson);

const good = await signToken(rsa, claims);
const parts = good.split('.');

const sign = (changes: Claims, headerChanges: Claims = {}): Promise<string> =>
  signToken(rsa, { ...claims, ...changes }, headerChanges);

const signAny = (headerChanges: Claims, payload = JSON.stringify(claims)): string =>
  signParts(rsa, JSON.stringify({ ...header, ...headerChanges }), payload);

const { kid: _kid, ...headerWithoutKid } = header;
const { typ: _typ, ...headerWithoutType } = header;

type Forgery = readonly [what: string, token: string | Promise<string>, cause: RegExp];

const forgedSignatures: readonly Forgery[] = [
  ['alg none and no signature', `${toPart('{"alg":"none","typ":"JWT"}')}.${parts[1]}.`, /alg/],
  ['alg None and the old signature', `${toPart('{"alg":"None"}')}.${parts[1]}.${parts[2]}`, /alg/],
  ['HS256 with the public key as the secret', signWithPublicKey(), /alg/],
  ['alg in lower case', signAny({ alg: 'rs256' }), /alg/],
  ['alg PS256', signAny({ alg: 'PS256' }), /alg/],
  ['alg RS512', signAny({ alg: 'RS512' }), /alg/],
  [
    'two algs of which the last is none',
    signParts(rsa, `{"alg":"RS256","kid":"${rsa.kid}","alg":"none"}`, '{}'),
    /alg/,
  ],
  ['the alg of another key type', signAny({ alg: 'ES256' }), /invalid algorithm/],
  ['the key id of another key', signToken(rsa, claims, { kid: ec.kid }), /invalid algorithm/],
  [
    'the key id of the issuer by a stranger',
    signToken(stranger, claims, { kid: rsa.kid }),
    /invalid signature/,
  ],
  [
    'a changed payload',
    `${parts[0]}.${toPart(JSON.stringify({ ...claims, roles: ['Gateway'] }))}.${parts[2]}`,
    /invalid signature/,
  ],
  ['no signature', `${parts[0]}.${parts[1]}.`, /signature is required/],
  ['the key id of a stranger', signToken(stranger, claims), /no key with this id/],
  ['a path as key id', signAny({ kid: '../../etc/passwd' }), /no key with this id/],
  ['a URL as key id', signAny({ kid: 'https://evil.test/key' }), /no key with this id/],
  ['the name of a prototype as key id', signAny({ kid: '__proto__' }), /no key with this id/],
  ['no key id', signParts(rsa, JSON.stringify(headerWithoutKid), JSON.stringify(claims)), /kid/],
  ['an unknown critical header', signAny({ crit: ['exp'] }), /crit/],
  ['an empty list of critical headers', signAny({ crit: [] }), /crit/],
  ['a key in the header', signAny({ jwk: stranger.jwk }), /jwk/],
  ['a key set URL in the header', signAny({ jku: 'https://evil.test/keys' }), /jku/],
  ['a certificate URL in the header', signAny({ x5u: 'https://evil.test/cert' }), /x5u/],
  ['a certificate in the header', signAny({ x5c: ['MIIB'] }), /x5c/],
  ['the type of a ticket', signAny({ typ: 'sallyport-ticket+jwt' }), /typ/],
  ['the type of an endorsement', signAny({ typ: 'sallyport-endorsement+jwt' }), /typ/],
  ['the type of a proof', signAny({ typ: 'dpop+jwt' }), /typ/],
  ['no type', signParts(rsa, JSON.stringify(headerWithoutType), JSON.stringify(claims)), /no type/],
];

const malformed: readonly Forgery[] = [
  ['nothing', '', /header|object/],
  ['one part', 'abc', /object/],
  ['two parts', `${parts[0]}.${parts[1]}`, /object/],
  ['a fourth part', `${good}.abc`, /object|malformed/],
  ['a trailing dot', `${good}.`, /object|malformed/],
  ['a leading dot', `.${good}`, /object|malformed/],
  ['padding', `${good}==`, /object/],
  ['a blank inside', `${parts[0]}. ${parts[1]}.${parts[2]}`, /object/],
  ['a line feed at the end', `${good}\n`, /object/],
  ['a NUL', `${good}\0`, /object/],
  ['plain base64', signAny({ x: '???>>>' }).replace(/[-_]/, '+'), /object|signature/],
  ['an encrypted token', encrypt(), /object|alg/],
  ['more than 16 KiB', sign({ padding: 'x'.repeat(16_000) }), /too large/],
  ['a header that is no JSON', signParts(rsa, 'header', JSON.stringify(claims)), /object/],
  ['a header that is a list', signParts(rsa, '[]', JSON.stringify(claims)), /object/],
  ['a payload that is no JSON', signAny({}, 'payload'), /JSON/],
  ['a payload that is a list', signAny({}, '[]'), /object/],
  ['a payload that is null', signAny({}, 'null'), /object/],
];

const wrongTimes: readonly Forgery[] = [
  ['no exp', sign({ exp: undefined }), /exp/],
  ['an exp that is text', sign({ exp: `${seconds + 60}` }), /exp/],
  ['an exp in a list', sign({ exp: [seconds + 60] }), /exp/],
  ['an exp that is past the skew', sign({ exp: seconds - 60 }), /expired/],
  ['an exp in a year', sign({ exp: seconds + 365 * 86_400 }), /too long/],
  ['an exp one second above 25 hours', sign({ iat: seconds, exp: seconds + 90_001 }), /too long/],
  ['no iat', sign({ iat: undefined }), /iat/],
  ['an iat past the skew', sign({ iat: seconds + 61, exp: seconds + 600 }), /future/],
  ['an nbf past the skew', sign({ nbf: seconds + 61 }), /not active/],
  ['an nbf that is text', sign({ nbf: '0' }), /nbf/],
];

const wrongPlaces: readonly Forgery[] = [
  ['no audience', sign({ aud: undefined }), /aud/],
  ['another audience', sign({ aud: 'https://graph.microsoft.com' }), /another service/],
  [
    'the audience of Resource Manager',
    sign({ aud: 'https://management.azure.com/' }),
    /another service/,
  ],
  ['our audience with a slash', sign({ aud: `api://${clientId}/` }), /another service/],
  ['our audience in capitals', sign({ aud: clientId.toUpperCase() }), /another service/],
  ['our audience and another', sign({ aud: [clientId, 'https://graph.microsoft.com'] }), /aud/],
  ['our audience in a list', sign({ aud: [clientId] }), /aud/],
  ['an empty list of audiences', sign({ aud: [] }), /aud/],
  ['no issuer', sign({ iss: undefined }), /iss/],
  ['a list of issuers', sign({ iss: [entraUrl] }), /iss/],
  [
    'the issuer of another tenant',
    sign({ iss: entraUrl.replace(tenant, otherTenant) }),
    /not trusted/,
  ],
  ['the issuer with a slash', sign({ iss: `${entraUrl}/` }), /not trusted/],
  [
    'the placeholder as tenant',
    sign({ iss: 'https://login.microsoftonline.com/{tenantid}/v2.0' }),
    /not trusted/,
  ],
  [
    'an issuer that looks alike',
    sign({ iss: entraUrl.replace('.com', '.com.evil.test') }),
    /not trusted/,
  ],
  [
    'two issuers of which the last is another',
    signAny({}, JSON.stringify(claims).replace(/}$/, ',"iss":"https://evil.test"}')),
    /not trusted/,
  ],
  ['the v2 issuer in a v1 token', sign({ ver: '1.0', appid: 'x' }), /not that of the version/],
  [
    'the v1 issuer in a v2 token',
    sign({ iss: `https://sts.windows.net/${tenant}/` }),
    /not that of the version/,
  ],
  ['an unknown version', sign({ ver: '3.0' }), /ver/],
  ['another tenant', sign({ tid: otherTenant }), /tenant is another/],
  ['no tenant', sign({ tid: undefined }), /tid/],
  ['a list of tenants', sign({ tid: [tenant] }), /tid/],
  ['no object id', sign({ oid: undefined }), /oid/],
  ['an object id that is no GUID', sign({ oid: 'alice' }), /oid/],
  ['no client, as in an id token', sign({ azp: undefined, scp: undefined }), /no access token/],
  ['a person without scope', sign({ scp: undefined }), /neither/],
  ['an app with a scope', sign({ idtyp: 'app' }), /neither/],
  ['a device', sign({ idtyp: 'device' }), /idtyp/],
  ['a person without scope who hides it', sign({ scp: undefined, idtyp: undefined }), /neither/],
  ['a list of scopes', sign({ scp: ['Sessions.Request'] }), /scp/],
  ['roles that are text', sign({ roles: 'Gateway' }), /roles/],
  ['a group that is no GUID', sign({ groups: ['admins'] }), /groups/],
];

describe('identify', () => {
  test.each([...forgedSignatures, ...malformed, ...wrongTimes, ...wrongPlaces])(
    'refuses a token with %s',
    async (_what, token, cause) => {
      const refusal: unknown = await identify(await token).catch((error: unknown) => error);

      expect(refusal).toBeInstanceOf(BrokerError);
      expect(refusal).toMatchObject({ code: 'token-invalid', details: {} });
      // The right reason reaches the log, and only the log: to a forger every refusal looks the same.
      expect(String(refusal instanceof Error ? refusal.cause : '')).toMatch(cause);
      expect(refusal).toHaveProperty('message', 'Get a new token for this service and try again.');
    },
  );

  test('reads only what the metadata of the issuer names, whatever a token says', () => {
    expect(new Set(issuer.fetched)).toEqual(
      new Set([`${entraUrl}/.well-known/openid-configuration`, `${entraUrl}/keys`]),
    );
  });

  test.each([
    ['signed with RSA', signToken(rsa, claims)],
    ['signed with an elliptic curve', signToken(ec, claims)],
    ['with the type of RFC 9068', sign({}, { typ: 'at+jwt' })],
    ['with headers that nobody needs', sign({}, { x5t: 'x', nonce: 'x' })],
    ['that expired within the skew', sign({ exp: seconds - 59 })],
    ['that starts within the skew', sign({ nbf: seconds + 60, iat: seconds + 60 })],
    ['that lives 25 hours', sign({ iat: seconds, exp: seconds + 90_000 })],
    ['without nbf', sign({ nbf: undefined })],
  ])('takes a token %s', async (_what, token) => {
    await expect(identify(await token)).resolves.toMatchObject({
      id: `${tenant}.a0000000-0000-4000-8000-000000000001`,
    });
  });

  test('says when to try again while the keys of the issuer cannot be read', async () => {
    const down = new TestIssuer(entraUrl, []);
    down.outage = new Error('the network is down');

    const refusal = createTestIdentify(entraIssuers, down.fetchJson)(good);

    await expect(refusal).rejects.toMatchObject({
      code: 'issuer-unavailable',
      details: { retryAfterSeconds: 5, cause: { message: 'the network is down' } },
    });
  });

  test('asks nobody about a token of an issuer that is not trusted', async () => {
    const unused = new TestIssuer(entraUrl, [rsa.jwk]);
    const token = await sign({ iss: 'https://evil.test' });

    await expect(createTestIdentify(entraIssuers, unused.fetchJson)(token)).rejects.toThrow(
      'Get a new token',
    );

    expect(unused.fetched).toEqual([]);
  });
});

async function signWithPublicKey(): Promise<string> {
  const secret = Buffer.from(rsa.publicKey.export({ type: 'spki', format: 'pem' }));
  return new CompactSign(Buffer.from(JSON.stringify(claims)))
    .setProtectedHeader({ ...header, alg: 'HS256' })
    .sign(secret);
}

async function encrypt(): Promise<string> {
  return new CompactEncrypt(Buffer.from(good))
    .setProtectedHeader({ alg: 'RSA-OAEP', enc: 'A256GCM', kid: rsa.kid })
    .encrypt(rsa.publicKey);
}
