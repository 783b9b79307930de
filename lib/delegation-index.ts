import type { Delegation } from './delegation.ts';
import { toNewestFirst } from './session-index.ts';
import type { Row } from './table.ts';
import { toKey } from './table-key.ts';

/** From which side delegations are listed. */
export const delegationSides = ['giver', 'receiver', 'all'] as const;

export type DelegationSide = (typeof delegationSides)[number];

/** Returns the partition that lists delegations, newest first: those that a caller has given or received, or all. */
export function toListPartition(side: DelegationSide, caller: string): string {
  if (side === 'all') return 'delegations';
  return `${side === 'giver' ? 'dgg' : 'dgr'}|${toKey(caller)}`;
}

/** Returns the rows by which a delegation is found. */
export function toDelegationIndexRows({ id, from, to, createdAt }: Delegation): readonly Row[] {
  const row = `${toNewestFirst(new Date(createdAt))}|${id}`;
  const values = { delegation: id };
  return [
    { partition: toListPartition('giver', from.id), row, values },
    { partition: toListPartition('receiver', to), row, values },
    { partition: toListPartition('all', ''), row, values },
  ];
}
