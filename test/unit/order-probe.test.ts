import { describe, expect, test } from 'vitest';
import type { Broker } from '../../lib/broker.ts';
import { BrokerError } from '../../lib/failure.ts';
import { noteProbe, orderProbe, readProbe } from '../../lib/order-probe.ts';
import type { Probe, ProbeOutcome } from '../../lib/probe.ts';
import { verifyProbe } from '../../lib/probe.ts';
import { renewLeases } from '../../lib/renew-leases.ts';
import { instance, nonce, openSession, redeem, sessionId } from '../support/sessions.ts';
import {
  ada,
  gateway,
  memoryAudit,
  testBroker,
  testClock,
  vmHost,
} from '../support/test-broker.ts';

const wanted = { session: sessionId, host: vmHost, port: 22 };
const other = '9a7e0000-0000-4000-8000-000000000002';

function start() {
  const clock = testClock();
  const audit = memoryAudit();
  return { clock, audit, broker: testBroker({ now: clock.now, audit }) };
}

/** Renews the lease of a gateway process without connections, and returns the probes that it is to make. */
async function takeProbes(broker: Broker, at = instance): Promise<readonly Probe[]> {
  const { probes } = await renewLeases(broker, gateway, { instance: at, connections: [] });
  const verifier = { roots: broker.keys.roots, issuer: broker.url.origin, gateway: 'hub' };
  return probes.map((token) => verifyProbe(token, verifier, broker.now()));
}

async function note(broker: Broker, probe: string, outcome: ProbeOutcome, session = sessionId) {
  await noteProbe(broker, gateway, { instance, session, probe, outcome });
}

describe('orderProbe', () => {
  test('gives every gateway process a signed order with its next lease, and records it', async () => {
    const { broker, audit } = start();
    await orderProbe(broker, wanted);

    const [probe] = await takeProbes(broker);

    expect(probe).toMatchObject({ ...wanted, gateway: 'hub' });
    expect(await takeProbes(broker, other)).toEqual([probe]);
    expect(audit.entries).toMatchObject([{ type: 'probe.ordered', ...wanted, probe: probe?.id }]);
    expect(await readProbe(broker, sessionId)).toBeUndefined();
  });

  test('orders nothing while an order is under way, however often it is called', async () => {
    const { broker, clock } = start();
    await Promise.all(Array.from({ length: 10 }, async () => orderProbe(broker, wanted)));
    clock.pass(59);
    await orderProbe(broker, wanted);

    expect(await takeProbes(broker)).toHaveLength(1);
  });

  test('orders again when the port was closed, and when nobody has reported in time', async () => {
    const { broker, clock } = start();
    await orderProbe(broker, wanted);
    const [first] = await takeProbes(broker);
    await note(broker, first?.id ?? '', 'refused');
    expect(await readProbe(broker, sessionId)).toBe('refused');
    await orderProbe(broker, wanted);
    expect(await readProbe(broker, sessionId)).toBeUndefined();
    expect(await takeProbes(broker)).toHaveLength(2);
    clock.pass(61);

    await orderProbe(broker, wanted);

    expect(await takeProbes(broker)).toHaveLength(1);
  });

  // A process that starts looks an hour back.
  test('hands out no order that has expired', async () => {
    const { broker, clock } = start();
    await orderProbe(broker, wanted);
    clock.pass(60);

    expect(await takeProbes(broker)).toEqual([]);
  });

  test('fails, and tells no gateway, when it cannot be recorded', async () => {
    const { broker } = start();
    const down = new BrokerError('audit-unavailable', 'Try again.');
    const failing = { ...broker, audit: { append: async () => Promise.reject(down) } };

    await expect(orderProbe(failing, wanted)).rejects.toBe(down);

    expect(await takeProbes(broker)).toEqual([]);
  });

  test('says nothing to the connections of the session', async () => {
    const { broker } = start();
    const { ticket } = await openSession(broker);
    await redeem(broker, ticket.ticket);
    await orderProbe(broker, wanted);
    const connections = [{ connection: nonce, session: sessionId, bytesUp: 0, bytesDown: 0 }];

    const { verdicts } = await renewLeases(broker, gateway, { instance, connections });

    expect(verdicts).toEqual([]);
  });
});

describe('noteProbe', () => {
  test.each(['open', 'refused', 'timeout'] as const)(
    'keeps what was found: %s',
    async (outcome) => {
      const { broker } = start();
      await orderProbe(broker, wanted);
      const [probe] = await takeProbes(broker);

      await note(broker, probe?.id ?? '', outcome);

      expect(await readProbe(broker, sessionId)).toBe(outcome);
    },
  );

  // Not every process may reach the target yet.
  test('believes the one process that says that the port is open, whoever reports before or after', async () => {
    const { broker } = start();
    await orderProbe(broker, wanted);
    const [probe] = await takeProbes(broker);
    const outcomes = ['timeout', 'open', 'refused', 'timeout'] as const;

    await Promise.all(outcomes.map(async (outcome) => note(broker, probe?.id ?? '', outcome)));

    expect(await readProbe(broker, sessionId)).toBe('open');
  });

  test('counts for nothing when the probe was not ordered, or not for this session, or is not the last', async () => {
    const { broker, clock } = start();
    const another = broker.newId();
    await note(broker, broker.newId(), 'open');
    await orderProbe(broker, wanted);
    const [first] = await takeProbes(broker);
    await note(broker, broker.newId(), 'open');
    await note(broker, first?.id ?? '', 'open', another);
    clock.pass(61);
    await orderProbe(broker, wanted);
    await note(broker, first?.id ?? '', 'open');

    expect(await readProbe(broker, sessionId)).toBeUndefined();
    expect(await readProbe(broker, another)).toBeUndefined();
  });

  test.each([
    ['a person', ada, 'role-missing'],
    [
      'a workload that is no gateway of ours',
      { ...gateway, id: 'tenant.other' },
      'gateway-unknown',
    ],
  ])('refuses the report of %s', async (_name, caller, code) => {
    const { broker } = start();
    await orderProbe(broker, wanted);
    const [probe] = await takeProbes(broker);
    const report = {
      instance,
      session: sessionId,
      probe: probe?.id ?? '',
      outcome: 'open',
    } as const;

    await expect(noteProbe(broker, caller, report)).rejects.toMatchObject({ code });

    expect(await readProbe(broker, sessionId)).toBeUndefined();
  });
});
