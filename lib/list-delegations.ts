import * as z from 'zod';
import type { Broker } from './broker.ts';
import type { Caller } from './caller.ts';
import type { Delegation, DelegationView } from './delegation.ts';
import { findDelegation, isRecorded, toDelegationView } from './delegation.ts';
import { delegationSides, toListPartition } from './delegation-index.ts';
import { toNotFound } from './not-found.ts';
import { hasRole, requireRole } from './role.ts';

const pageSize = 50;

/** The query of `GET /api/delegations`. */
export const delegationQueryShape = z.strictObject({
  as: z
    .enum(delegationSides)
    .exactOptional()
    .describe(
      'Those that I have given, or received, or all, which needs the role Session.Read.All. When absent, a person’s are those given and a workload’s those received.',
    ),
  after: z
    .string()
    .regex(/^\d{13}\|[0-9a-f-]{36}$/)
    .exactOptional()
    .describe('From `nextLink`.'),
});

export type DelegationQuery = z.infer<typeof delegationQueryShape>;

/** A page of delegations, and the position after which the next one starts. */
export type DelegationPage = { readonly value: readonly DelegationView[]; readonly after?: string };

/** Returns one delegation, to who gave or received it, or has the role `Session.Read.All`. */
export async function readDelegation(
  broker: Broker,
  caller: Caller,
  id: string,
): Promise<DelegationView> {
  const stored = await findDelegation(broker, id);
  if (stored === undefined || !isRecorded(stored.delegation)) throw toNotFound();
  const { delegation } = stored;
  if (!isInvolved(delegation, caller) && !hasRole(caller, 'Session.Read.All')) throw toNotFound();
  return toDelegationView(delegation, broker.now());
}

/** Returns delegations, newest first. */
export async function listDelegations(
  broker: Broker,
  caller: Caller,
  { as = caller.kind === 'person' ? 'giver' : 'receiver', after }: DelegationQuery,
): Promise<DelegationPage> {
  if (as === 'all') requireRole(caller, 'Session.Read.All');
  // The first key after a position is that position with one more character.
  const from = after === undefined ? {} : { from: `${after}0` };
  const partition = toListPartition(as, caller.id);
  const rows = await broker.state.list(partition, { ...from, limit: pageSize + 1 });
  const page = rows.slice(0, pageSize);
  const found = await Promise.all(
    page.map(async ({ values }) => findDelegation(broker, String(values['delegation']))),
  );
  const value = found
    .flatMap((stored) => (stored === undefined ? [] : [stored.delegation]))
    .filter((delegation) => isRecorded(delegation))
    .filter((delegation) => as === 'all' || isInvolved(delegation, caller))
    .map((delegation) => toDelegationView(delegation, broker.now()));
  const last = page.at(-1);
  return { value, ...(rows.length <= pageSize || last === undefined ? {} : { after: last.row }) };
}

/** Whether the caller gave the delegation or received it. */
export function isInvolved({ from, to }: Delegation, caller: Caller): boolean {
  return from.id === caller.id || to === caller.id;
}
