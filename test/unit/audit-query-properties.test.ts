import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AuditEvent } from '../../lib/audit.ts';
import { toCheckpoint } from '../../lib/checkpoint.ts';
import { chooseRuns } from '../support/effort.ts';
import type { Scanned } from '../support/index-scan.ts';
import { findIndexGaps, scanEntries } from '../support/index-scan.ts';
import type { QueryBench } from '../support/query-bench.ts';
import { startQueryBench } from '../support/query-bench.ts';

const guids = [1, 2, 3].map((n) => `${String(n).repeat(8)}-1111-4111-8111-111111111111`);
const ids = ['tenant.ada', 'tenant.bob', 'tenant.cy'];

const pick = <T>(values: readonly T[]) => fc.constantFrom(...values);
const actor = pick(ids).map((id) => ({ id, name: id }));
const session = pick(guids);
const target = pick(guids);

const ticket = {
  ticket: 't',
  form: 'jwt',
  kid: 'k',
  gateway: 'hub',
  host: '10.0.0.4',
  port: 22,
  expiresAt: '2026-03-02T12:00:00.000Z',
} as const;

const event: fc.Arbitrary<AuditEvent> = fc.oneof(
  fc.record({ session, caller: actor }).map((facts) => ({
    type: 'session.requested' as const,
    app: 'cli',
    request: { target: 'vm', protocol: 'ssh' as const, durationSeconds: 60 },
    ...facts,
  })),
  fc
    .record({ session, caller: actor, target })
    .map((facts) => ({ type: 'ticket.issued' as const, ...ticket, ...facts })),
  fc.record({ session, by: actor }).map((facts) => ({
    type: 'session.ended' as const,
    endReason: 'terminated' as const,
    ...facts,
  })),
  fc
    .record({ session })
    .map((facts) => ({ type: 'session.ended' as const, endReason: 'unused' as const, ...facts })),
  fc.record({ by: actor }).map((facts) => ({ type: 'lock.lifted' as const, lock: 'l', ...facts })),
  fc
    .record({ caller: actor, target })
    .map((facts) => ({ type: 'budget.exceeded' as const, budget: 'target' as const, ...facts })),
);

type Step =
  | { readonly kind: 'append'; readonly writer: number; readonly events: readonly AuditEvent[] }
  | { readonly kind: 'pass'; readonly seconds: number }
  | { readonly kind: 'seal'; readonly sealer: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      writer: fc.nat(2),
      events: fc.array(event, { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('pass' as const),
      seconds: pick([0.001, 1, 60, 7200, 86_400]),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('seal' as const), sealer: fc.nat(1) }) },
);

const query = fc.record(
  {
    caller: pick(ids),
    target,
    session,
    type: pick(['session.ended', 'ticket.issued', 'chain.opened', 'no.such-type']),
    from: fc.nat(4 * 86_400),
    to: fc.nat(4 * 86_400),
    limit: fc.integer({ min: 1, max: 7 }),
  },
  { requiredKeys: ['limit'] },
);

type Query = typeof query extends fc.Arbitrary<infer T> ? T : never;

const start = Date.parse('2026-03-02T12:00:00Z');

async function run(bench: QueryBench, steps: readonly Step[]): Promise<void> {
  const writers = [bench.openWriter(), bench.openWriter(), bench.openWriter()];
  const sealers = [bench.openSealer(), bench.openSealer()];
  for (const one of steps) {
    if (one.kind === 'append') await writers[one.writer]?.append(one.events);
    else if (one.kind === 'pass') bench.clock.pass(one.seconds);
    else await sealers[one.sealer]?.seal();
  }
}

function toTime(seconds: number): string {
  return new Date(start + seconds * 1000).toISOString();
}

function toAsked({ from, to, ...rest }: Query): Readonly<Record<string, unknown>> {
  return {
    ...rest,
    ...(from === undefined ? {} : { from: toTime(from) }),
    ...(to === undefined ? {} : { to: toTime(to) }),
  };
}

function matches(entry: Scanned, { caller, target, session, type, from, to }: Query): boolean {
  const isOf = <T>(wanted: T | undefined, found: ReadonlySet<T | undefined>): boolean =>
    wanted === undefined || found.has(wanted);
  return (
    isOf(caller, entry.callers) &&
    isOf(target, entry.targets) &&
    isOf(session, new Set([entry.session])) &&
    isOf(type, new Set([entry.type])) &&
    (from === undefined || toTime(from) <= entry.time) &&
    (to === undefined || entry.time < toTime(to))
  );
}

/** Returns by which checkpoint each entry was sealed. */
function readSeals({ audit }: QueryBench): (chain: string, seq: number) => number | null {
  const checkpoints = audit
    .rows()
    .filter(({ partition }) => partition === 'cp')
    .map((row) => toCheckpoint(row).checkpoint);
  return (chain, seq) =>
    checkpoints.find(({ heads }) => heads.some((head) => head.chain === chain && seq <= head.seq))
      ?.n ?? null;
}

describe('for any log, sealed as far as you like, and any question,', () => {
  test('the answer is what a scan of the whole log finds, newest first, and says what is sealed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: 20 }),
        fc.array(query, { minLength: 5, maxLength: 5 }),
        async (steps, queries) => {
          const bench = startQueryBench();
          await run(bench, steps);
          const findSeal = readSeals(bench);
          // What is not sealed says nothing yet about what is.
          const scanned = scanEntries(
            bench.audit.rows(),
            (one, other) =>
              findSeal(one.chain, one.seq) !== null || findSeal(other.chain, other.seq) === null,
          );
          for (const asked of queries) {
            const items = await bench.queryAll(toAsked(asked));
            const found = items.map(({ chain, seq, type, time, sealed }) => ({
              chain,
              seq,
              type,
              time,
              sealed,
            }));
            const expected = scanned
              .filter((entry) => matches(entry, asked))
              .map(({ chain, seq, type, time }) => ({
                chain,
                seq,
                type,
                time,
                sealed: findSeal(chain, seq),
              }));
            expect(found).toEqual(expected);
          }
        },
      ),
      { numRuns: chooseRuns({ short: 15, full: 200, long: 3000 }) },
    );
  });

  test('the index has every entry in every place once all is sealed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 20 }), async (steps) => {
        const bench = startQueryBench();
        await run(bench, steps);
        await bench.openSealer().seal();

        expect(findIndexGaps(bench.audit.rows(), bench.index.rows())).toEqual([]);
        expect(await bench.check()).toMatchObject({ unsealed: 0 });
      }),
      { numRuns: chooseRuns({ short: 10, full: 200, long: 3000 }) },
    );
  });
});
