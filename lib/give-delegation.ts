import type { Broker } from './broker.ts';
import { withinCallerBudget } from './budget-check.ts';
import type { Caller } from './caller.ts';
import { readGroups } from './decide.ts';
import type {
  Delegation,
  DelegationRequest,
  DelegationView,
  StoredDelegation,
} from './delegation.ts';
import {
  digestDelegation,
  findDelegation,
  replaceDelegation,
  toDelegationRow,
  toDelegationView,
} from './delegation.ts';
import { toDelegationIndexRows } from './delegation-index.ts';
import { BrokerError } from './failure.ts';
import { requireRole } from './role.ts';

/**
 * How long a delegation may last. What the person was when they gave it is all that is known of them from then on: for
 * as long, a group that they have left still counts.
 */
const maxDays = 7;

// A string in the table holds 32,000 characters.
const maxCharacters = 30_000;

/** What a person gets for a delegation: what it is, and whether this call gave it. */
export type Given = { readonly view: DelegationView; readonly isNew: boolean };

/**
 * Gives a workload the right to ask for sessions in the person's name, within what is said; recorded before it is good
 * for anything. An identical repetition returns what it made; another delegation under the same id fails with
 * `delegation-conflict`. Only a person who is there in person gives one.
 */
export async function giveDelegation(
  broker: Broker,
  caller: Caller,
  id: string,
  request: DelegationRequest,
): Promise<Given> {
  requireRole(caller, 'Session.Request');
  const draft = toDraft(broker, caller, id, request);
  const known = await withinCallerBudget(broker, caller, async () => findDelegation(broker, id));
  if (known === undefined) requireTime(broker, request);
  const stored = known ?? (await storeDraft(broker, draft));
  requireSame(stored.delegation, draft);
  const isNew = stored.delegation.state === 'drafted';
  const delegation = isNew ? await recordGiven(broker, stored) : stored.delegation;
  return { view: toDelegationView(delegation, broker.now()), isNew };
}

function toDraft(
  broker: Broker,
  caller: Caller,
  id: string,
  request: DelegationRequest,
): Delegation {
  // A workload that hands on what it holds, for itself or for somebody else, makes a chain that nobody can follow.
  if (caller.kind !== 'person' || caller.onBehalfOf !== undefined)
    throw new BrokerError('access-denied', 'Only a person gives a delegation, in person.');
  const { name, issuer, app, signedInAt } = caller;
  const draft: Delegation = {
    id,
    state: 'drafted',
    from: {
      id: caller.id,
      name,
      issuer,
      app,
      groups: readGroups(caller),
      ...(signedInAt === undefined ? {} : { signedInAt }),
    },
    ...request,
    expiresAt: new Date(request.expiresAt).toISOString(),
    createdAt: broker.now().toISOString(),
    requestDigest: digestDelegation(request),
  };
  if (maxCharacters < JSON.stringify(draft).length)
    throw new BrokerError('request-invalid', 'Name fewer targets in one delegation.', {
      faults: [{ pointer: '/targets', detail: 'With your groups this is too much to store.' }],
    });
  return draft;
}

function requireTime(broker: Broker, { expiresAt }: DelegationRequest): void {
  const now = broker.now().getTime();
  const end = new Date(expiresAt).getTime();
  if (now < end && end <= now + maxDays * 86_400_000) return;
  const detail = `Give a time that is to come, within ${String(maxDays)} days.`;
  throw new BrokerError('request-invalid', 'Correct what the faults name, then send it again.', {
    faults: [{ pointer: '/expiresAt', detail }],
  });
}

async function storeDraft(broker: Broker, draft: Delegation): Promise<StoredDelegation> {
  // Whoever comes second finds what the first has stored.
  await broker.state.insert(toDelegationRow(draft));
  const stored = await findDelegation(broker, draft.id);
  if (stored === undefined)
    throw new BrokerError('state-unavailable', 'Try again.', { retryAfterSeconds: 1 });
  return stored;
}

function requireSame({ from, requestDigest }: Delegation, draft: Delegation): void {
  if (from.id !== draft.from.id || requestDigest !== draft.requestDigest)
    throw new BrokerError('delegation-conflict', 'Choose a new id for a new delegation.');
}

async function recordGiven(
  broker: Broker,
  { delegation, etag }: StoredDelegation,
): Promise<Delegation> {
  const given: Delegation = { ...delegation, state: 'given' };
  // The places in the lists first: what is in none is never found again.
  await Promise.all(toDelegationIndexRows(given).map(async (row) => broker.state.insert(row)));
  const { requestDigest: _digest, state: _state, ...facts } = given;
  await broker.audit.append([{ type: 'delegation.given', delegation: facts }]);
  if ((await replaceDelegation(broker, { delegation: given, etag })) === 'replaced') return given;
  // The same request, sent twice at once; or it has been revoked already.
  return (await findDelegation(broker, given.id))?.delegation ?? given;
}
