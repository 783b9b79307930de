import { describe, expect, test } from 'vitest';
import { digestDelegation } from '../../lib/delegation.ts';
import { giveDelegation } from '../../lib/give-delegation.ts';
import { listDelegations, readDelegation } from '../../lib/list-delegations.ts';
import { revokeDelegation } from '../../lib/revoke-delegation.ts';
import {
  bot,
  delegated,
  delegationId,
  gift,
  give,
  operator,
  robot,
  startDelegating,
} from '../support/delegations.ts';
import { memoryTable } from '../support/memory-table.ts';
import { openSession } from '../support/sessions.ts';
import { ada, eve } from '../support/test-broker.ts';

const other = 'de1e0000-0000-4000-8000-000000000002';

describe('giveDelegation', () => {
  test('records what is given, with what is known of the giver, and shows it without that', async () => {
    const { broker, audit } = startDelegating();
    const giver = { ...ada, groups: ['dev'], signedInAt: 1_772_450_000, acrs: ['c1'] };

    const view = await give(broker, { giver, limits: { maxSessions: 2 } });

    expect(view).toMatchObject({
      ...gift,
      expiresAt: '2026-03-02T13:00:00.000Z',
      from: { id: ada.id, name: 'ada' },
      limits: { maxSessions: 2 },
      state: 'active',
    });
    expect(JSON.stringify(view)).not.toContain('dev');
    const { state: _, ...facts } = view;
    const from = { id: ada.id, groups: ['dev'], signedInAt: 1_772_450_000 };
    expect(audit.entries).toMatchObject([
      { type: 'delegation.given', delegation: { ...facts, from } },
    ]);
    expect(JSON.stringify(audit.entries)).not.toContain('c1');
  });

  test('makes one of the same request sent again, and refuses another one under its id', async () => {
    const { broker, audit } = startDelegating();
    await give(broker);

    const again = await giveDelegation(broker, ada, delegationId, gift);

    expect(again.isNew).toBe(false);
    expect(audit.entries).toHaveLength(1);
    await expect(give(broker, { purpose: 'Other.' })).rejects.toMatchObject({
      code: 'delegation-conflict',
    });
    await expect(give(broker, { giver: operator })).rejects.toMatchObject({
      code: 'delegation-conflict',
    });
  });

  test('brings none back that was revoked', async () => {
    const { broker } = startDelegating();
    await give(broker);
    await revokeDelegation(broker, ada, delegationId);

    expect(await give(broker)).toMatchObject({ state: 'revoked' });
  });

  test('leaves one when the same request comes ten times at once', async () => {
    const { broker, audit } = startDelegating();

    const views = await Promise.all(Array.from({ length: 10 }, async () => give(broker)));

    expect(new Set(views.map(({ state }) => state))).toEqual(new Set(['active']));
    expect(await listDelegations(broker, ada, {})).toMatchObject({ value: [{ id: delegationId }] });
    expect(new Set(audit.entries.map((entry) => JSON.stringify(entry))).size).toBe(1);
  });

  // Fail closed: what nobody can account for later must be good for nothing.
  test('is good for nothing while it is not recorded, and is when it is asked for again', async () => {
    const state = memoryTable();
    const down = startDelegating({
      state,
      audit: { append: () => Promise.reject(new Error('the table is down')) },
    });

    await expect(give(down.broker)).rejects.toThrow('the table is down');

    await expect(readDelegation(down.broker, ada, delegationId)).rejects.toMatchObject({
      code: 'not-found',
    });
    expect(await listDelegations(down.broker, ada, {})).toEqual({ value: [] });
    await expect(openSession(down.broker, delegated)).rejects.toMatchObject({
      message: 'the table is down',
    });
    const up = startDelegating({ state });
    expect(await give(up.broker)).toMatchObject({ state: 'active' });
    expect(up.audit.entries).toHaveLength(1);
    await expect(openSession(up.broker, delegated)).resolves.toBeDefined();
  });

  test.each([
    ['a workload', bot],
    ['a person under a delegation', { ...ada, onBehalfOf: { ...ada, groups: [] } }],
  ])('is not for %s', async (_who, giver) => {
    const { broker } = startDelegating();

    await expect(give(broker, { giver })).rejects.toMatchObject({ code: 'access-denied' });
  });

  test('needs the role, and all groups', async () => {
    const { broker } = startDelegating();

    await expect(give(broker, { giver: { ...ada, roles: [] } })).rejects.toMatchObject({
      code: 'role-missing',
    });
    await expect(give(broker, { giver: { ...ada, groups: 'unknown' } })).rejects.toMatchObject({
      code: 'groups-unknown',
    });
  });

  test.each([
    ['the past', '2026-03-02T12:00:00Z'],
    ['more than seven days', '2026-03-09T12:00:01Z'],
  ])('does not last into %s', async (_case, expiresAt) => {
    const { broker } = startDelegating();

    await expect(give(broker, { expiresAt })).rejects.toMatchObject({
      code: 'request-invalid',
      details: { faults: [{ pointer: '/expiresAt' }] },
    });
    await expect(give(broker, { expiresAt: '2026-03-09T12:00:00Z' })).resolves.toBeDefined();
  });

  test('refuses what no row can hold', async () => {
    const { broker } = startDelegating();
    const groups = Array.from({ length: 3000 }, (_, i) => `group-${String(i)}`);

    await expect(give(broker, { giver: { ...ada, groups } })).rejects.toMatchObject({
      code: 'request-invalid',
    });
  });

  test('tells two requests apart by every member', () => {
    const changes = [
      { to: robot.id },
      { targets: [] },
      { services: [] },
      { expiresAt: '2026-03-02T12:30:00Z' },
      { limits: { maxBytes: 1 } },
      { purpose: 'x' },
    ];
    const digests = [{}, ...changes].map((change) => digestDelegation({ ...gift, ...change }));

    expect(new Set(digests).size).toBe(7);
  });
});

describe('a delegation', () => {
  test.each([
    ['giver', ada],
    ['receiver', bot],
    ['holder of Session.Read.All', operator],
  ])('is shown to its %s', async (_who, caller) => {
    const { broker } = startDelegating();
    await give(broker);

    expect(await readDelegation(broker, caller, delegationId)).toMatchObject({ id: delegationId });
  });

  // Threat 13: absent and invisible are one.
  test('is hidden from all others as if it were not there', async () => {
    const { broker } = startDelegating();
    await give(broker);

    for (const [caller, id] of [
      [eve, delegationId],
      [robot, delegationId],
      [ada, other],
    ] as const) {
      await expect(readDelegation(broker, caller, id)).rejects.toMatchObject({ code: 'not-found' });
      await expect(revokeDelegation(broker, caller, id)).rejects.toMatchObject({
        code: 'not-found',
      });
    }
  });

  test('is listed for who gave it and who received it, and for nobody else', async () => {
    const { broker, clock } = startDelegating();
    await give(broker);
    clock.pass(1);
    await give(broker, { id: other, giver: operator, to: robot.id });
    const list = async (caller: typeof ada, as?: 'giver' | 'receiver' | 'all') => {
      const { value } = await listDelegations(broker, caller, as === undefined ? {} : { as });
      return value.map(({ id }) => id);
    };

    expect(await list(ada)).toEqual([delegationId]);
    expect(await list(bot)).toEqual([delegationId]);
    expect(await list(robot)).toEqual([other]);
    expect(await list(bot, 'giver')).toEqual([]);
    expect(await list(operator, 'all')).toEqual([other, delegationId]);
    await expect(list(ada, 'all')).rejects.toMatchObject({ code: 'role-missing' });
  });

  test('is listed page by page', async () => {
    const { broker, clock } = startDelegating();
    for (let i = 0; i < 51; i += 1) {
      await give(broker, { id: broker.newId() });
      clock.pass(1);
    }

    const first = await listDelegations(broker, ada, {});
    const { after } = first;
    const second = await listDelegations(broker, ada, after === undefined ? {} : { after });

    const ids = [...first.value, ...second.value].map(({ id }) => id);
    expect([first.value.length, second.value.length, new Set(ids).size]).toEqual([50, 1, 51]);
    expect(second.after).toBeUndefined();
  });

  test('is over when its time is', async () => {
    const { broker, clock } = startDelegating();
    await give(broker);
    clock.pass(3600);

    expect(await readDelegation(broker, ada, delegationId)).toMatchObject({ state: 'expired' });
  });
});

describe('revokeDelegation', () => {
  test.each([
    ['giver', ada],
    ['receiver', bot],
    ['holder of Session.Terminate.All', operator],
  ])('is for its %s, and recorded once', async (_who, caller) => {
    const { broker, audit } = startDelegating();
    await give(broker);

    await revokeDelegation(broker, caller, delegationId);
    await revokeDelegation(broker, caller, delegationId);

    const by = { id: caller.id, name: caller.name };
    expect(audit.entries.slice(1)).toEqual([
      { type: 'delegation.revoked', delegation: delegationId, by },
    ]);
    expect(await readDelegation(broker, ada, delegationId)).toMatchObject({
      state: 'revoked',
      revokedBy: by,
    });
  });

  test('changes nothing while it cannot be recorded', async () => {
    const state = memoryTable();
    await give(startDelegating({ state }).broker);
    const { broker } = startDelegating({
      state,
      audit: { append: () => Promise.reject(new Error('the table is down')) },
    });

    await expect(revokeDelegation(broker, ada, delegationId)).rejects.toThrow('the table is down');

    expect(await readDelegation(broker, ada, delegationId)).toMatchObject({ state: 'active' });
  });
});
