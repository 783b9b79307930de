import { beforeAll, describe, expect, test } from 'vitest';
import { Capacity } from '../../gateway/capacity.ts';
import { Leaks } from '../../gateway/leaks.ts';
import type { LeakReport } from '../../lib/gateway-call.ts';
import { signTicket } from '../../lib/ticket.ts';
import { issuer, permission } from '../support/forgery.ts';
import { testKeys, testRoot } from '../support/test-broker.ts';

const keys = testKeys(() => new Date(), issuer, testRoot());
const handle = 'h'.repeat(43);
const ip = '198.51.100.7';
let ticket: string;

beforeAll(async () => {
  ticket = await sign();
});

async function sign(changes: { readonly gateway?: string; readonly seconds?: number } = {}) {
  const { gateway = 'hub', seconds = 0 } = changes;
  const issuedAt = new Date(Date.now() + seconds * 1000);
  const times = { issuedAt, expiresAt: new Date(issuedAt.getTime() + 60_000) };
  return signTicket({ ...permission, gateway, ...times }, issuer, await keys.current());
}

type Answer = () => Promise<'taken' | 'refused'>;

function start(answer: Answer = async () => 'taken', maxHandles = 4) {
  const reports: Omit<LeakReport, 'instance'>[] = [];
  const lines: string[] = [];
  const leaks = new Leaks({
    verifier: () => ({ roots: keys.roots, issuer, gateway: 'hub' }),
    handles: new Capacity(maxHandles, 2, 'Try again.'),
    report: async (leak) => {
      reports.push(leak);
      return answer();
    },
    log: (event, facts) => void lines.push(JSON.stringify({ event, ...facts })),
  });
  return { leaks, reports, lines };
}

const leaked = { code: 'ticket-leaked' };

describe('a URL', () => {
  test.each<[string, (ticket: string) => string]>([
    ['in the query', (secret) => `/connect?ticket=${secret}`],
    ['in the query of another path', (secret) => `/?a=b&token=${secret}&c`],
    ['in the path', (secret) => `/connect/${secret}`],
    ['in the middle of the path', (secret) => `/files/${secret}/x`],
    ['as a bearer', (secret) => `/connect?authorization=Bearer%20${secret}`],
    ['as a subprotocol', (secret) => `/connect?protocol=sallyport.v1,ticket.${secret}`],
    ['in escapes', (secret) => `/connect?t=${secret.replaceAll('.', '%2E').replace('e', '%65')}`],
    ['behind a broken escape', (secret) => `/connect?x=%zz&t=${secret}`],
    ['in a fragment', (secret) => `/connect#${secret}`],
    ['behind other things of its form', (secret) => `/${'x'.repeat(43)}/eyJa.b.c/${secret}`],
  ])('with a ticket %s is refused when the broker has heard of it', async (_where, toUrl) => {
    const { leaks, reports } = start();

    await expect(leaks.refuse(toUrl(ticket), ip)).rejects.toMatchObject(leaked);

    expect(reports).toEqual([{ ticket, clientIp: ip }]);
  });

  test.each<[string, () => string | Promise<string>]>([
    ['nothing else', () => ''],
    ['the signature of another', () => `${ticket.slice(0, -6)}AAAAAA`],
    ['a ticket for another gateway', async () => sign({ gateway: 'other' })],
    ['a ticket that has expired', async () => sign({ seconds: -70 })],
    ['a JWT of somebody else', () => 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.x'],
    ['a word that is nearly a handle', () => `${handle}h`],
    ['a ticket with more to it', () => `${ticket}.x`],
  ])('with %s costs no call', async (_name, make) => {
    const { leaks, reports } = start();

    await expect(leaks.refuse(`/connect?t=${await make()}`, ip)).resolves.toBeUndefined();

    expect(reports).toEqual([]);
  });
});

describe('a leaked ticket', () => {
  test('that comes again, even at once, costs no further call', async () => {
    const { leaks, reports } = start();
    const uses = Array.from({ length: 20 }, async () => leaks.refuse(`/${ticket}`, ip));
    const outcomes = await Promise.allSettled(uses);

    expect(outcomes.map(({ status }) => status)).toEqual(uses.map(() => 'rejected'));
    expect(reports).toHaveLength(1);
  });

  test('is reported twice when the broker cannot be reached, and again when it comes again', async () => {
    const { leaks, reports, lines } = start(async () => Promise.reject(new Error('away')));

    await expect(leaks.refuse(`/${ticket}`, ip)).rejects.toMatchObject(leaked);
    expect(reports).toHaveLength(2);
    await expect(leaks.refuse(`/${ticket}`, ip)).rejects.toMatchObject(leaked);

    expect(reports).toHaveLength(4);
    expect(lines.join()).toContain('leak-unreported');
    expect(lines.join()).not.toContain(ticket.split('.')[2]);
  });
});

describe('what looks like a handle', () => {
  test('is asked about, and refused when it is one', async () => {
    const { leaks, reports } = start();

    await expect(leaks.refuse(`/connect?t=${handle}`, ip)).rejects.toMatchObject(leaked);
    await expect(leaks.refuse(`/connect?t=${handle}`, ip)).rejects.toMatchObject(leaked);

    expect(reports).toEqual([{ ticket: handle, clientIp: ip }]);
  });

  test('is nothing when the broker does not know it', async () => {
    const { leaks, reports } = start(async () => 'refused');

    await expect(leaks.refuse(`/connect?t=${handle}`, ip)).resolves.toBeUndefined();
    await expect(leaks.refuse(`/connect?t=${handle}`, ip)).resolves.toBeUndefined();

    expect(reports).toHaveLength(2);
  });

  // Anyone can send what looks like a handle.
  test('is asked about under the cap of those that are being redeemed', async () => {
    const held = Promise.withResolvers<'refused'>();
    const { leaks, reports } = start(async () => held.promise);
    const uses = ['a', 'b', 'c'].map(async (letter) => leaks.refuse(`/${letter.repeat(43)}`, ip));
    const third = await uses[2]?.catch((error: unknown) => error);
    held.resolve('refused');
    await Promise.all(uses.slice(0, 2));

    expect(third).toMatchObject({ code: 'connection-limit' });
    expect(reports).toHaveLength(2);
    await expect(leaks.refuse(`/${handle}`, ip)).resolves.toBeUndefined();
  });
});
