import type { Broker } from '../../lib/broker.ts';
import type { Policy } from '../../lib/decision.ts';
import { deliverNotices } from '../../lib/deliver-notices.ts';
import { setLock } from '../../lib/manage-locks.ts';
import type { Letter, Post } from '../../lib/post-notice.ts';
import type { Webhook } from '../../lib/webhook.ts';
import { webhooksShape } from '../../lib/webhook.ts';
import type { FindTableFault, MemoryTable } from './memory-table.ts';
import { memoryTable } from './memory-table.ts';
import { openTestAudit } from './test-audit.ts';
import type { testClock } from './test-broker.ts';
import { eve, grace, testBroker } from './test-broker.ts';

/** A broker with a real audit log in memory, and receivers that keep what they get and answer as told. */
export type NoticeBench = {
  readonly broker: Broker;
  /** Another process on the same tables. */
  readonly sibling: Broker;
  readonly clock: ReturnType<typeof testClock>;
  readonly state: MemoryTable;
  readonly letters: readonly Letter[];
  readonly logged: readonly (readonly [string, Readonly<Record<string, unknown>>])[];
  /** Says how the next letters are answered. */
  readonly answerWith: (post: Post) => void;
};

/** What is not the same at each bench. */
export type NoticeBenchOptions = {
  readonly webhooks?: unknown;
  readonly findStateFault?: FindTableFault;
  readonly findAuditFault?: FindTableFault;
  readonly policy?: Policy;
};

/** The secret of the webhook `chat` at a bench. */
export const chatSecret = `whsec_${Buffer.from(Array.from({ length: 32 }, (_, i) => i * 7)).toString('base64')}`;

/** The setting of a webhook that is told everything, and of one that is told of locks. */
export const chat = { name: 'chat', url: 'https://chat.test/hook?key=k', secrets: [chatSecret] };
export const tickets = {
  name: 'tickets',
  url: 'https://tickets.test/',
  secrets: [`whsec_${Buffer.from(Array.from({ length: 32 }, (_, i) => i)).toString('base64')}`],
  types: ['sallyport.lock.set'],
};

/** Starts a bench on which nothing has been recorded. */
export function startNoticeBench(options: NoticeBenchOptions = {}): NoticeBench {
  const { webhooks = [chat], findStateFault, findAuditFault, policy } = options;
  const { audit, clock } = openTestAudit(findAuditFault);
  const state = memoryTable(findStateFault);
  const letters: Letter[] = [];
  const logged: (readonly [string, Readonly<Record<string, unknown>>])[] = [];
  let answer: Post = async () => ({ status: 204 });
  const post: Post = async (letter) => {
    letters.push(letter);
    return answer(letter);
  };
  const hooks: readonly Webhook[] = webhooksShape.parse(webhooks);
  const common: Partial<Broker> = {
    audit,
    state,
    now: clock.now,
    notices: { webhooks: hooks, post },
    ...(policy === undefined ? {} : { policy }),
    log: (event, facts = {}) => void logged.push([event, facts]),
  };
  const broker = testBroker(common);
  return {
    broker,
    sibling: testBroker({ ...common, newId: () => crypto.randomUUID() }),
    clock,
    state,
    letters,
    logged,
    answerWith: (next) => {
      answer = next;
    },
  };
}

/** Starts a bench whose webhooks are told of what happens from now on. */
export async function startTelling(options?: NoticeBenchOptions): Promise<NoticeBench> {
  const bench = startNoticeBench(options);
  await deliverNotices(bench.broker);
  return bench;
}

export const lockId = '10c00000-0000-4000-8000-000000000001';

/** Sets a lock on eve. */
export async function lockEve({ broker }: NoticeBench, id = lockId): Promise<void> {
  const lock = { kind: 'caller', value: eve.id, message: 'Under review.' } as const;
  await setLock(broker, grace, id, lock);
}

/** Sets as many locks. */
export async function lockMany(bench: NoticeBench, count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) await lockEve(bench, bench.broker.newId());
}

/** Returns the CloudEvents that letters carry. */
export function readEvents(letters: readonly Letter[]): readonly Record<string, unknown>[] {
  return letters.map(({ body }) => {
    const event: unknown = JSON.parse(body);
    return typeof event === 'object' && event !== null ? { ...event } : {};
  });
}

/** Returns the types of the CloudEvents that letters carry, in alphabetical order. */
export function readTypes(letters: readonly Letter[]): readonly string[] {
  return readEvents(letters)
    .map(({ type }) => String(type))
    .toSorted((one, two) => (one < two ? -1 : 1));
}

/** Returns the rows of notices that wait. */
export function findWaiting({ state }: NoticeBench) {
  return state.rows().filter(({ partition }) => partition.startsWith('notice|'));
}

/** Returns the facts of the log lines of an event. */
export function findLogged({ logged }: NoticeBench, event: string) {
  return logged.filter(([name]) => name === event).map(([, facts]) => facts);
}
