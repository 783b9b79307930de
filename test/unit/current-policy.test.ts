import { describe, expect, test } from 'vitest';
import { writeBundle } from '../../lib/policy-bundle.ts';
import { writePointer } from '../../lib/policy-pointer.ts';
import type { PolicyFile } from '../../lib/policy-scan.ts';
import { decide, followPolicy } from '../support/follow-policy.ts';
import { memoryTable } from '../support/memory-table.ts';
import { decisionInput } from '../support/policies.ts';
import { memoryPolicyStore, type PolicyStore, publish, sets } from '../support/policy-store.ts';
import { memoryAudit } from '../support/test-broker.ts';

describe('openCurrentPolicy', () => {
  test('decides by the published set, and by the next one after the next look', async () => {
    const { current, store } = followPolicy();
    const first = await publish(store, sets.open);

    await current.refresh();
    expect([decide(current), current.policy.digest]).toEqual(['allow', first]);

    const second = await publish(store, sets.shut);
    expect(decide(current)).toBe('allow');
    await current.refresh();
    expect([decide(current), current.policy.digest]).toEqual(['deny', second]);
    expect(current.policy.decide(decisionInput())).toMatchObject({ policies: ['shut'] });
  });

  test('explains by the set in force', async () => {
    const { current, store } = followPolicy();
    const digest = await publish(store, sets.shut);
    await current.refresh();

    const scope = { services: [], isReader: false };

    expect(current.policy.explain?.(decisionInput(), scope)).toMatchObject({
      decision: { outcome: 'deny', digest },
    });
  });

  // A denial would end open sessions; and what the app was shipped with is no substitute.
  test('neither allows nor denies while no set is in force', async () => {
    const { current, store } = followPolicy();
    const failure: unknown = expect.objectContaining({ code: 'policy-unavailable' });

    await current.refresh();
    expect(() => decide(current)).toThrow(failure);
    await expect(current.probe()).rejects.toEqual(failure);
    expect(current.policy.digest).toBe('none');

    await publish(store, sets.open);
    await current.refresh();
    expect(decide(current)).toBe('allow');
    await expect(current.probe()).resolves.toBeUndefined();
  });

  test('reads no bundle while the pointer is unchanged, or names the set in force', async () => {
    const { current, store, logged } = followPolicy();
    const digest = await publish(store, sets.open);
    for (let looks = 0; looks < 5; looks += 1) await current.refresh();
    expect(store.reads).toEqual(['current', digest]);

    await publish(store, sets.open);
    for (let looks = 0; looks < 5; looks += 1) await current.refresh();
    expect(store.reads).toEqual(['current', digest, 'current']);
    expect(logged).toEqual(['policy.taken']);
  });
});

describe('what was published before stays in force', () => {
  const { digest: openDigest, text: openText } = writeBundle(sets.open);
  const { digest: shutDigest } = writeBundle(sets.shut);

  async function startOpen(isAway?: () => boolean) {
    const audit = memoryAudit();
    const following = followPolicy({ audit, store: memoryPolicyStore(isAway) });
    await publish(following.store, sets.open);
    await following.current.refresh();
    following.logged.length = 0;
    audit.entries.length = 0;
    return { ...following, audit };
  }

  type Damage = (store: PolicyStore) => Promise<unknown>;
  const losses: readonly (readonly [string, Damage])[] = [
    ['the pointer is removed', async ({ remove }) => remove('current')],
    ['the pointer is no pointer', async ({ write }) => write('current', '<html>')],
    [
      'the bundle is not there',
      async ({ write }) => write('current', writePointer({ digest: shutDigest })),
    ],
  ];

  test.each(losses)('when %s, which is logged once', async (_loss, damage) => {
    const { current, store, logged, audit } = await startOpen();

    await damage(store);
    for (let looks = 0; looks < 5; looks += 1) await current.refresh();
    expect([decide(current), ...logged]).toEqual(['allow', 'policy.unconfirmed']);
    expect(audit.entries).toEqual([]);

    await publish(store, sets.shut);
    await current.refresh();
    expect([decide(current), ...logged.slice(1)]).toEqual([
      'deny',
      'policy.taken',
      'policy.confirmed',
    ]);
  });

  test('when the store does not answer, for however long', async () => {
    let isAway = false;
    const { current, store, clock, logged } = await startOpen(() => isAway);
    isAway = true;
    await publish(store, sets.shut);

    for (let hours = 0; hours < 5; hours += 1) {
      clock.pass(3600);
      await current.keepFresh();
    }
    expect([decide(current), ...logged]).toEqual(['allow', 'policy.unconfirmed']);

    isAway = false;
    await current.refresh();
    expect(decide(current)).toBe('deny');
  });

  const rejections: readonly (readonly [string, Damage])[] = [
    ['faulty', async (store) => publish(store, sets.faulty)],
    ['hostile', async (store) => publish(store, sets.hostile)],
    [
      'not the one that its name says',
      async ({ write }) => {
        await write(`bundles/${shutDigest}.json`, openText);
        await write('current', writePointer({ digest: shutDigest }));
      },
    ],
  ];

  test.each(rejections)('when the set is %s, which is recorded once', async (_fault, damage) => {
    const { current, store, logged, audit } = await startOpen();

    await damage(store);
    for (let looks = 0; looks < 50; looks += 1) await current.refresh();

    expect(decide(current)).toBe('allow');
    expect(current.policy.digest).toBe(openDigest);
    expect(logged).toEqual(['policy.rejected']);
    expect(audit.entries).toMatchObject([{ type: 'policy.rejected' }]);
  });

  test('until a sound set follows', async () => {
    const { current, store } = await startOpen();
    await publish(store, sets.faulty);
    await current.refresh();

    await publish(store, sets.shut);
    await current.refresh();

    expect(decide(current)).toBe('deny');
  });

  // A busy machine can fail a sound set.
  function followBusily(busyWith: string | undefined) {
    let isBusy = true;
    const audit = memoryAudit();
    const findings = [{ file: 'test.cedar', line: 1, detail: 'Cedar did not come to an end.' }];
    const check = async ([file]: readonly PolicyFile[]) =>
      isBusy && file?.text === busyWith ? findings : [];
    const rest = (): void => {
      isBusy = false;
    };
    return { ...followPolicy({ audit, check }), audit, rest };
  }

  test('and a rejected set is tried again every five minutes', async () => {
    const { current, store, clock, logged, audit, rest } = followBusily(sets.shut[0]?.text);
    await publish(store, sets.open);
    await current.refresh();
    await publish(store, sets.shut);
    await current.refresh();
    clock.pass(300);
    await current.refresh();
    rest();

    clock.pass(299);
    await current.refresh();
    expect(decide(current)).toBe('allow');
    clock.pass(1);
    await current.refresh();
    expect(decide(current)).toBe('deny');
    expect(audit.entries.map(({ type }) => type)).toEqual([
      'policy.published',
      'policy.rejected',
      'policy.published',
    ]);
    expect(logged).toEqual(['policy.taken', 'policy.rejected', 'policy.taken']);
  });

  test('and the first set is tried again at every look', async () => {
    const { current, store, rest } = followBusily(sets.open[0]?.text);
    await publish(store, sets.open);
    await current.refresh();
    rest();

    await current.refresh();

    expect(decide(current)).toBe('allow');
  });

  test('and a process that starts meanwhile decides by it too', async () => {
    const shared = { store: memoryPolicyStore(), state: memoryTable(), audit: memoryAudit() };
    const elder = followPolicy(shared);
    await publish(shared.store, sets.open);
    await elder.current.refresh();
    await publish(shared.store, sets.faulty);

    const younger = followPolicy(shared);
    await younger.current.refresh();

    expect(decide(younger.current)).toBe('allow');
    expect(younger.logged).toEqual(['policy.rejected']);
    expect(shared.audit.entries).toHaveLength(2);
  });
});
