import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { Probes } from '../../gateway/probes.ts';
import type { ProbeReport } from '../../lib/gateway-call.ts';
import type { SigningKey } from '../../lib/endorsement.ts';
import { signProbe } from '../../lib/probe.ts';
import { signTicket } from '../../lib/ticket.ts';
import { issuer, permission } from '../support/forgery.ts';
import { testKeys, testRoot } from '../support/test-broker.ts';

const root = testRoot();
const keys = testKeys(() => new Date(), issuer, root);
let key: SigningKey;

beforeAll(async () => {
  key = await keys.current();
});

type Report = Omit<ProbeReport, 'instance'>;

/** Probes of a gateway that may dial nothing, so that no order leaves the process. */
function start(answer: () => Promise<void> = async () => undefined) {
  const reports: Report[] = [];
  const events: string[] = [];
  const probes = new Probes({
    verifier: () => ({ roots: keys.roots, issuer, gateway: 'hub' }),
    mayDial: () => false,
    report: async (report) => {
      reports.push(report);
      return answer();
    },
    log: (event) => void events.push(event),
  });
  return { probes, reports, events };
}

function order(changes: { readonly id?: string; readonly gateway?: string } = {}): string {
  const issuedAt = new Date();
  const expiresAt = new Date(issuedAt.getTime() + 60_000);
  const where = { session: permission.session, gateway: 'hub', host: '10.0.0.4', port: 22 };
  return signProbe({ id: randomUUID(), ...where, issuedAt, expiresAt, ...changes }, issuer, key);
}

/** Resolves when all that was begun has come to its end. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}

describe('the probes of a gateway', () => {
  test('dial no address that the gateway may not dial, and say so', async () => {
    const { probes, reports, events } = start();
    const id = randomUUID();
    probes.take([order({ id })]);
    await settle();

    expect(reports).toEqual([{ session: permission.session, probe: id, outcome: 'refused' }]);
    expect(events).toEqual(['probe-forbidden', 'probe-done']);
  });

  test('are made once, though every lease of a minute names them', async () => {
    const { probes, reports } = start();
    const token = order();
    for (let lease = 0; lease < 5; lease += 1) {
      probes.take([token, token]);
      await settle();
    }

    expect(reports).toHaveLength(1);
  });

  test('are made again when the report did not arrive', async () => {
    let isAway = true;
    const { probes, reports, events } = start(async () => {
      if (isAway) throw new Error('the broker is away');
    });
    const token = order();
    probes.take([token]);
    await settle();
    isAway = false;
    probes.take([token]);
    await settle();
    probes.take([token]);
    await settle();

    expect(reports).toHaveLength(2);
    expect(events).toContain('probe-unreported');
  });

  test('are sixteen at once at most, and the others have their turn with a later lease', async () => {
    const held = Promise.withResolvers<void>();
    const { probes, reports } = start(async () => held.promise);
    const tokens = Array.from({ length: 20 }, () => order());
    probes.take(tokens);
    probes.take(tokens);
    await settle();
    expect(reports).toHaveLength(16);
    held.resolve();
    await settle();

    probes.take(tokens);
    await settle();

    expect(new Set(reports.map(({ probe }) => probe)).size).toBe(20);
    expect(reports).toHaveLength(20);
  });

  // Threat 4. What is no order of our broker makes the gateway do nothing at all.
  test.each<[string, () => string]>([
    ['garbage', () => 'x.y.z'],
    ['an order for another pool', () => order({ gateway: 'other' })],
    [
      'a ticket',
      () => {
        const times = { issuedAt: new Date(), expiresAt: new Date(Date.now() + 60_000) };
        return signTicket({ ...permission, ...times }, issuer, key);
      },
    ],
  ])('are not made by %s', async (_name, make) => {
    const { probes, reports, events } = start();
    probes.take([make()]);
    await settle();

    expect(reports).toEqual([]);
    expect(events).toEqual(['probe-refused']);
  });
});
