import { describe, expect, test } from 'vitest';
import type { Audit, AuditEvent } from '../../lib/audit.ts';
import { writeBundle } from '../../lib/policy-bundle.ts';
import { toDigest } from '../../lib/policy-digest.ts';
import { writePointer } from '../../lib/policy-pointer.ts';
import { decide, followPolicy } from '../support/follow-policy.ts';
import { memoryTable } from '../support/memory-table.ts';
import { changeMembers, memoryPolicyStore, publish, sets } from '../support/policy-store.ts';
import { memoryAudit } from '../support/test-broker.ts';

describe('the record of publications', () => {
  const origin = { publishedBy: 'release pipeline 12', note: 'CHG0012345' };

  test('names the set, the one before it, and what the publisher says', async () => {
    const audit = memoryAudit();
    const { current, store } = followPolicy({ audit });
    const previous = await publish(store, sets.open);
    await current.refresh();
    const digest = await publish(store, sets.shut, origin);
    await current.refresh();

    expect(audit.entries).toEqual([
      { type: 'policy.published', digest: previous },
      { type: 'policy.published', digest, previous, ...origin },
    ]);
  });

  // Intent before effect: a decision names a set that the log knows.
  test('stands in the log before the first decision by the set', async () => {
    const seen: unknown[] = [];
    const audit: Audit = {
      append: async (events) => {
        seen.push(...events.map(({ type }: AuditEvent) => [type, current.policy.digest]));
        return [];
      },
    };
    const { current, store } = followPolicy({ audit });
    const first = await publish(store, sets.open);
    await current.refresh();
    await publish(store, sets.shut);
    await current.refresh();

    expect(seen).toEqual([
      ['policy.published', 'none'],
      ['policy.published', first],
    ]);
  });

  test.each(['audit', 'state'] as const)('while the %s is down no set is taken', async (part) => {
    let isDown = false;
    const fail = () => (isDown ? 'before' : undefined);
    const log = memoryAudit();
    const audit: Audit = {
      append: async (events) => {
        if (isDown) throw new Error('the table is down');
        return log.append(events);
      },
    };
    const { current, store, logged } = followPolicy(
      part === 'audit' ? { audit } : { audit: log, state: memoryTable(fail) },
    );
    await publish(store, sets.open);
    await current.refresh();
    await publish(store, sets.shut);
    isDown = true;
    for (let looks = 0; looks < 5; looks += 1) await current.refresh();
    expect(decide(current)).toBe('allow');

    isDown = false;
    await current.refresh();
    expect(decide(current)).toBe('deny');
    expect(log.entries).toHaveLength(2);
    expect(logged.slice(1)).toEqual(['policy.unconfirmed', 'policy.taken', 'policy.confirmed']);
  });

  test('has one entry for all processes that take the set', async () => {
    const shared = { store: memoryPolicyStore(), state: memoryTable(), audit: memoryAudit() };
    await publish(shared.store, sets.open);

    for (let processes = 0; processes < 5; processes += 1) {
      const { current } = followPolicy(shared);
      await current.refresh();
      expect(decide(current)).toBe('allow');
    }

    expect(shared.audit.entries).toHaveLength(1);
  });

  test('has an entry for each time that a set comes back', async () => {
    const audit = memoryAudit();
    const { current, store } = followPolicy({ audit });
    const digests: string[] = [];
    for (const set of [sets.open, sets.shut, sets.open]) {
      digests.push(await publish(store, set));
      await current.refresh();
    }

    expect(audit.entries).toEqual([
      { type: 'policy.published', digest: digests[0] },
      { type: 'policy.published', digest: digests[1], previous: digests[0] },
      { type: 'policy.published', digest: digests[0], previous: digests[1] },
    ]);
  });

  test('names the findings of a rejected set, a few of them, as plain text', async () => {
    const audit = memoryAudit();
    const detail = `${'x'.repeat(299)}\u{1F600}`;
    const findings = Array.from({ length: 30 }, (_, line) => ({
      file: 'a\u202e\ud800\n.cedar',
      line,
      detail,
    }));
    const { current, store } = followPolicy({ audit, check: async () => findings });
    const digest = await publish(store, sets.open, origin);
    await current.refresh();

    const [event] = audit.entries;
    const plain = { file: 'a \ufffd .cedar', detail: `${'x'.repeat(299)}\ufffd` };
    expect(event).toEqual({
      type: 'policy.rejected',
      digest,
      findings: findings.slice(0, 20).map(({ line }) => ({ ...plain, line })),
      ...origin,
    });
  });

  // As after an upgrade of the broker: the bundle is still the one that its name says.
  test('names the bundle too where its vocabulary was another one', async () => {
    const audit = memoryAudit();
    const { current, store } = followPolicy({ audit });
    const older = changeMembers(writeBundle(sets.open).text, { vocabulary: 'entity User;' });
    const bundle = toDigest(sets.open, 'entity User;');
    await store.write(`bundles/${bundle}.json`, older);
    await store.write('current', writePointer({ digest: bundle }));

    await current.refresh();
    await current.refresh();

    const { digest } = writeBundle(sets.open);
    expect(current.policy.digest).toBe(digest);
    expect(audit.entries).toEqual([{ type: 'policy.published', digest, bundle }]);
  });
});
