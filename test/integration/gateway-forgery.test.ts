import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod';
import { toPublicJwk } from '../../lib/root-key.ts';
import { FakeBroker } from '../support/fake-broker.ts';
import { GatewayProcess, Refused } from '../support/gateway-process.ts';
import { TcpTarget } from '../support/tcp-target.ts';

type Part = Record<string, unknown>;
type Ticket = { readonly header: Part; readonly payload: Part };
type Forgery = (ticket: Ticket) => string;

const broker = new FakeBroker();
let gateway: GatewayProcess;
let target: TcpTarget;
let instanceKey: KeyObject;

beforeAll(async () => {
  await broker.listen();
  gateway = await GatewayProcess.start(broker);
  target = await TcpTarget.start((socket) => socket.pipe(socket));
  ({ privateKey: instanceKey } = await broker.signingKey());
});

afterAll(async () => {
  await gateway.stop();
  await target.stop();
  await broker.close();
});

const partShape = z.record(z.string(), z.unknown());

function decode(ticket: string): Ticket {
  const [header, payload] = ticket
    .split('.')
    .slice(0, 2)
    .map((part) => partShape.parse(JSON.parse(Buffer.from(part, 'base64url').toString())));
  return { header: header ?? {}, payload: payload ?? {} };
}

function encode({ header, payload }: Ticket): string {
  return [header, payload]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
}

/** Signs as the broker would, so that the change alone is what is wrong. */
function resign(ticket: Ticket, key = instanceKey): string {
  const signed = encode(ticket);
  const signature = sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' });
  return `${signed}.${signature.toString('base64url')}`;
}

const inPayload =
  (changes: Part): Forgery =>
  ({ header, payload }) =>
    resign({ header, payload: { ...payload, ...changes } });

const inHeader =
  (changes: Part): Forgery =>
  ({ header, payload }) =>
    resign({ header: { ...header, ...changes }, payload });

const seconds = Math.floor(Date.now() / 1000);

const forgeries: Readonly<Record<string, Forgery>> = {
  'another signer': (ticket) =>
    resign(ticket, generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey),
  'alg none': ({ header, payload }) =>
    `${encode({ header: { ...header, alg: 'none' }, payload })}.`,
  'HS256 with a public key as the secret': ({ header, payload }) => {
    const signed = encode({ header: { ...header, alg: 'HS256' }, payload });
    const hmac = createHmac('sha256', JSON.stringify(toPublicJwk(instanceKey))).update(signed);
    return `${signed}.${hmac.digest('base64url')}`;
  },
  'a cut signature': (ticket) => resign(ticket).slice(0, -10),
  'the type of another token': inHeader({ typ: 'JWT' }),
  'a critical extension': inHeader({ crit: ['exp'] }),
  'a key of its own in the header': inHeader({ jwk: { kty: 'EC' } }),
  'a key id that is a path': inHeader({ kid: '../../etc/passwd' }),
  'no endorsement': inHeader({ endorsement: 'x.y.z' }),
  'another gateway as audience': inPayload({ aud: 'pool-2' }),
  'two audiences': inPayload({ aud: ['pool-1', 'pool-2'] }),
  'another issuer': inPayload({ iss: 'https://broker.evil.example' }),
  'no expiry': inPayload({ exp: undefined }),
  'an expiry in a year': inPayload({ exp: seconds + 31_536_000 }),
  'an expiry in the past': inPayload({ exp: seconds - 10, iat: seconds - 60, nbf: seconds - 60 }),
  'a start in the future': inPayload({ iat: seconds + 60, nbf: seconds + 60, exp: seconds + 120 }),
  'no id': inPayload({ jti: undefined }),
  'a port out of range': inPayload({ port: 70_000 }),
  'an unknown claim': inPayload({ admin: true }),
  // Threat 30: whoever does not know a term cannot keep it.
  'an unknown term': inPayload({ terms: { requireRecording: true } }),
};

// Threats 4 and 5.
describe('a forged ticket', () => {
  test.each(Object.entries(forgeries))(
    'with %s is refused like any other, with no call and no dial',
    async (_name, forge) => {
      const ticket = forge(decode(await broker.issueTicket(target.port)));
      const refusal = await gateway.open(ticket).catch((error: unknown) => error);

      expect(refusal).toBeInstanceOf(Refused);
      expect(refusal).toMatchObject({ status: 401, code: 'ticket-invalid' });
      expect(String(refusal)).toContain('Ask for a new ticket of this session.');
      expect(broker.redemptions).toEqual([]);
      expect(target.sockets).toEqual([]);
    },
  );

  test('by a root that the gateway does not trust is refused', async () => {
    const other = new FakeBroker();
    await other.listen();
    const refusal = await gateway
      .open(await other.issueTicket(target.port))
      .catch((error: unknown) => error);
    await other.close();

    expect(refusal).toMatchObject({ status: 401 });
    expect(broker.redemptions).toEqual([]);
  });

  test('differs from a real one in what was forged alone', async () => {
    const ticket = resign(decode(await broker.issueTicket(target.port)));
    const socket = await gateway.open(ticket);

    expect(socket.readyState).toBe(socket.OPEN);
    socket.close();
  });
});
