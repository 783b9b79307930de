import { describe, expect, test } from 'vitest';
import type { Broker } from '../../lib/broker.ts';
import { createTicket } from '../../lib/create-ticket.ts';
import type { Decision, DecisionInput, Policy } from '../../lib/decision.ts';
import { BrokerError } from '../../lib/failure.ts';
import { noteProbe } from '../../lib/order-probe.ts';
import { verifyProbe } from '../../lib/probe.ts';
import { readOperation } from '../../lib/read-operation.ts';
import { reconcile } from '../../lib/reconcile.ts';
import { renewLeases } from '../../lib/renew-leases.ts';
import type { PowerState, Target } from '../../lib/target.ts';
import { approvers, askFor, decide, grace, needingPolicy, toTypes } from '../support/approvals.ts';
import { instance, redeem, sessionId } from '../support/sessions.ts';
import {
  ada,
  gateway,
  memoryAudit,
  testBroker,
  testClock,
  testPolicy,
  testTargets,
  vm,
} from '../support/test-broker.ts';

const operation = { session: sessionId, isExtension: false };
const armVm: Target = { ...vm, source: 'arm', armId: '/subscriptions/s/virtualmachines/vm-1' };

/** A broker whose one VM is in the state that the test says, and can be started. */
function startStopped(changes: Partial<Broker> = {}) {
  const clock = testClock();
  const audit = memoryAudit();
  const starts: string[] = [];
  let power: PowerState = 'deallocated';
  const targets: Broker['targets'] = {
    ...testTargets(),
    find: async () => ({ ...armVm, power }),
  };
  const broker = testBroker({
    now: clock.now,
    audit,
    targets,
    power: {
      start: async ({ id }) => {
        starts.push(id);
        return 'operation-1';
      },
      checkStart: async () => undefined,
      deallocate: async () => undefined,
    },
    ...changes,
  });
  const become = (state: PowerState): void => {
    power = state;
  };
  /** Looks at the operation, as whoever waits does. */
  const look = async () => {
    clock.pass(5);
    return readOperation(broker, ada, operation);
  };
  /** Answers the probes that a gateway gets with its lease. */
  const answerProbes = async (outcome: 'open' | 'refused') => {
    const { probes } = await renewLeases(broker, gateway, { instance, connections: [] });
    for (const token of probes) {
      const verifier = { roots: broker.keys.roots, issuer: broker.url.origin, gateway: 'hub' };
      const { session, id } = verifyProbe(token, verifier, broker.now());
      await noteProbe(broker, gateway, { instance, session, probe: id, outcome });
    }
    return probes.length;
  };
  return { broker, audit, clock, starts, become, look, answerProbes };
}

/** A policy that lets everybody connect, and nobody have anything started. */
function startlessPolicy(): Policy {
  const { digest, decide: allow } = testPolicy();
  const decideStart = (input: DecisionInput): Decision =>
    input.action === 'start'
      ? { outcome: 'deny', policies: ['no-starts'], digest, advice: ['Ask the owner.'] }
      : allow(input);
  return { digest, decide: decideStart };
}

describe('a session on a stopped VM', () => {
  test('is refused when the request does not ask to start it', async () => {
    const { broker, starts } = startStopped();

    await expect(askFor(broker)).rejects.toMatchObject({ code: 'target-stopped' });
    expect(starts).toEqual([]);
  });

  test('is refused when policy does not let the caller start it, with its advice', async () => {
    const { broker, audit, starts } = startStopped({ policy: startlessPolicy() });

    await expect(askFor(broker, { start: true })).rejects.toMatchObject({
      code: 'access-denied',
      details: { advice: ['Ask the owner.'] },
    });
    expect(starts).toEqual([]);
    expect(audit.entries.at(-1)).toMatchObject({
      type: 'session.denied',
      input: { action: 'start' },
    });
  });

  test('has it started once, on the record, and waits without a ticket', async () => {
    const { broker, audit, starts, look } = startStopped();

    const view = await askFor(broker, { start: true });
    await look();
    await look();

    expect(view).toMatchObject({ state: 'preparing', progress: 'starting' });
    expect(view.ticket).toBeUndefined();
    expect(starts).toEqual([vm.id]);
    expect(toTypes(audit.entries)).toEqual([
      'session.requested',
      'session.allowed',
      'target.started',
    ]);
  });

  test('is ready once a gateway finds the port open, and not when the VM only runs', async () => {
    const { broker, become, look, answerProbes } = startStopped();
    await askFor(broker, { start: true });
    become('starting');
    expect(await look()).toMatchObject({ status: 'Running', progress: 'starting' });

    become('running');
    expect(await look()).toMatchObject({ status: 'Running', progress: 'probing' });
    expect(await answerProbes('refused')).toBe(1);
    expect(await look()).toMatchObject({ status: 'Running', progress: 'probing' });
    expect(await answerProbes('open')).toBeGreaterThan(0);

    expect(await look()).toMatchObject({ status: 'Succeeded' });
    const { ticket } = await createTicket(broker, ada, sessionId, { form: 'jwt' });
    await expect(redeem(broker, ticket)).resolves.toMatchObject({ session: sessionId });
  });

  test('counts its time from when it is ready', async () => {
    const { broker, clock, become, look, answerProbes } = startStopped();
    await askFor(broker, { start: true });
    clock.pass(290);
    become('running');
    await look();
    await answerProbes('open');
    await look();

    const { deadline } = await createTicket(broker, ada, sessionId, { form: 'jwt' }).then(
      async () => askFor(broker, { start: true }),
    );

    expect(deadline).toBe('2026-03-02T13:05:00.000Z');
  });

  test('goes on when nobody asks about it', async () => {
    const { broker, clock, become, answerProbes } = startStopped();
    await askFor(broker, { start: true });
    become('running');
    clock.pass(30);
    await reconcile(broker);
    await answerProbes('open');
    clock.pass(30);
    await reconcile(broker);

    expect(await readOperation(broker, ada, operation)).toMatchObject({ status: 'Succeeded' });
  });

  // Threat 28: a step costs calls to Azure, which all callers share.
  test('is looked at every few seconds, however often its caller asks', async () => {
    const { broker, clock } = startStopped();
    await askFor(broker, { start: true });
    let looks = 0;
    const find: Broker['targets']['find'] = async (...args) => {
      looks += 1;
      return broker.targets.find(...args);
    };
    const counting = { ...broker, targets: { ...broker.targets, find } };

    for (let i = 0; i < 100; i += 1) {
      clock.pass(0.2);
      await readOperation(counting, ada, operation);
    }

    expect(looks).toBe(5);
  });

  test('fails when the VM does not come up in a quarter of an hour', async () => {
    const { broker, clock } = startStopped();
    await askFor(broker, { start: true });
    clock.pass(901);
    await reconcile(broker);

    expect(await readOperation(broker, ada, operation)).toMatchObject({
      status: 'Failed',
      error: { code: 'start-failed' },
    });
  });

  test.each([
    ['allocation', new BrokerError('start-failed', 'No capacity.')],
    ['a right', new BrokerError('start-forbidden', 'Ask the operator.')],
  ])('fails at once when the start fails for want of %s', async (_want, failure) => {
    const { broker, audit } = startStopped();
    const power = {
      start: async () => Promise.reject(failure),
      checkStart: async () => undefined,
      deallocate: async () => undefined,
    };

    const view = await askFor({ ...broker, power }, { start: true });

    expect(view).toMatchObject({ state: 'failed', endReason: 'start-failed' });
    expect(toTypes(audit.entries).slice(-2)).toEqual(['session.refused', 'session.ended']);
  });

  test('fails when the start that was accepted comes to nothing', async () => {
    const { broker, look } = startStopped();
    await askFor(broker, { start: true });
    const failing: Broker = {
      ...broker,
      power: {
        start: async () => undefined,
        checkStart: async () =>
          Promise.reject(new BrokerError('start-failed', 'No capacity in this zone.')),
        deallocate: async () => undefined,
      },
    };
    await look();
    const later = { ...failing, now: () => new Date('2026-03-02T12:01:00Z') };

    expect(await readOperation(later, ada, operation)).toMatchObject({ status: 'Failed' });
  });

  test('is refused with the time until midnight once the starts of the day are used up', async () => {
    const { broker } = startStopped();
    const limited = { ...broker, limits: { ...broker.limits, startsPerCallerDay: 1 } };
    await askFor(limited, { start: true });

    await expect(
      askFor(limited, { start: true, id: '5e551000-0000-4000-8000-000000000002' }),
    ).rejects.toMatchObject({ code: 'rate-limited', details: { retryAfterSeconds: 43_200 } });
  });

  test('that waits for an approval is started when it is approved, and not before', async () => {
    const policy = needingPolicy({ approval: { group: approvers, count: 1 } });
    const approving: Policy = {
      ...policy,
      decide: (input) =>
        input.action === 'start' ? testPolicy().decide(input) : policy.decide(input),
    };
    const { broker, starts } = startStopped({ policy: approving });
    const view = await askFor(broker, { start: true });
    expect(starts).toEqual([]);

    const approved = await decide(broker, grace, view);

    expect(approved).toMatchObject({ state: 'preparing' });
    expect(starts).toEqual([vm.id]);
  });

  test('that was approved without asking to start it is ended as unreachable', async () => {
    const policy = needingPolicy({ approval: { group: approvers, count: 1 } });
    const { broker, starts } = startStopped({ policy });

    const view = await decide(broker, grace, await askFor(broker));

    expect(view).toMatchObject({ state: 'failed', endReason: 'unreachable' });
    expect(starts).toEqual([]);
  });
});
