import type { Keys } from '../../lib/broker.ts';
import { openInstanceKeys } from '../../lib/instance-keys.ts';
import type { RootKey, TrustedRoots } from '../../lib/root-key.ts';
import { toTrustedRoots } from '../../lib/root-key.ts';
import type { Table } from '../../lib/table.ts';
import type { FindTableFault, MemoryTable } from './memory-table.ts';
import { memoryTable } from './memory-table.ts';
import { testClock, testRoot } from './test-broker.ts';

/** The broker that the keys are for. */
export const issuer = 'https://broker.test';

type Calls = Partial<Record<keyof Table | 'sign', number>>;

/** The keys of a process, the table they share with others, and how often each was called. */
export type InstanceKeySetup = {
  readonly calls: Calls;
  readonly clock: ReturnType<typeof testClock>;
  readonly keys: Keys;
  readonly logged: readonly string[];
  /** Opens the keys of another process, with another root key if given. */
  readonly open: (root?: RootKey) => Keys;
  readonly root: RootKey;
  readonly roots: TrustedRoots;
  readonly state: MemoryTable;
};

/** Opens the keys of a process over a table that fails as told. */
export function openTestKeys(findFault: FindTableFault = () => undefined): InstanceKeySetup {
  const clock = testClock();
  const root = testRoot();
  const calls: Calls = {};
  const count = (call: keyof Calls): void => {
    calls[call] = (calls[call] ?? 0) + 1;
  };
  const state = memoryTable((operation, partition) => {
    count(operation);
    return findFault(operation, partition);
  });
  const counted: RootKey = {
    ...root,
    sign: async (data) => {
      count('sign');
      return root.sign(data);
    },
  };
  const roots = toTrustedRoots([root.publicJwk]);
  const logged: string[] = [];
  const open = (rootKey: RootKey = counted): Keys =>
    openInstanceKeys({
      root: rootKey,
      trustedRoots: roots,
      state,
      issuer,
      now: clock.now,
      log: (event) => void logged.push(event),
    });
  return {
    calls,
    clock,
    keys: open(),
    logged,
    open,
    root,
    roots,
    state,
  };
}

/** Lets what runs in the background go on until the condition holds, for three seconds at most: keys are made on a thread. */
export async function settle(isDone: () => boolean): Promise<void> {
  const deadline = performance.now() + 3000;
  while (!isDone() && performance.now() < deadline)
    await new Promise((resolve) => void setImmediate(resolve));
}
