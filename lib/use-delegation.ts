import type { Broker } from './broker.ts';
import type { Caller, HeldDelegation } from './caller.ts';
import type { Delegation } from './delegation.ts';
import { findDelegation, isRecorded, isStanding } from './delegation.ts';
import { BrokerError } from './failure.ts';
import { toNotFound } from './not-found.ts';
import type { Session } from './session.ts';
import { isOfMaker } from './session.ts';
import type { Service } from './target.ts';

/**
 * Returns the workload as it acts under the delegation that it names. Fails with `access-denied` when it has none such:
 * one that is absent and one that is somebody else's fail alike. Whether it is about a target is for `isCovered`.
 */
export async function actUnder(
  broker: Broker,
  caller: Caller,
  { id, service }: { readonly id: string; readonly service: Service },
): Promise<Caller> {
  const found = await findDelegation(broker, id);
  if (found === undefined || !isRecorded(found.delegation) || !isReceiver(found.delegation, caller))
    throw refuse('No such delegation is given to this caller.');
  const { delegation } = found;
  requireStanding(broker, delegation);
  const isListed = delegation.services.some(
    ({ protocol, port }) => protocol === service.protocol && port === service.port,
  );
  if (!isListed) throw refuse('The delegation is not about this protocol and port.');
  return withDelegation(caller, delegation);
}

/**
 * Returns the caller as they act in a session of theirs: for the same person as when it was made. Fails with `not-found`
 * when they come for another or for nobody, and with `access-denied` when the delegation has ended.
 */
export async function actAgain(broker: Broker, caller: Caller, session: Session): Promise<Caller> {
  if (!isOfMaker(session, caller)) throw toNotFound();
  if (session.delegation === undefined) return caller;
  const found = await findDelegation(broker, session.delegation.id);
  if (found === undefined || !isReceiver(found.delegation, caller)) throw toNotFound();
  requireStanding(broker, found.delegation);
  return withDelegation(caller, found.delegation);
}

/** Returns for whom the caller acts and by which delegation, as a session holds it. */
export function toActing({
  onBehalfOf,
  delegation,
}: Caller): Pick<Session, 'onBehalfOf' | 'delegation'> {
  if (onBehalfOf === undefined) return {};
  const person = { id: onBehalfOf.id, name: onBehalfOf.name };
  if (delegation === undefined) return { onBehalfOf: person };
  const { id, maxSessions } = delegation;
  const limit = maxSessions === undefined ? {} : { maxSessions };
  return { onBehalfOf: person, delegation: { id, ...limit } };
}

/** Whether the delegation of a session has been revoked; false for one that is under none. Its end is for the decision. */
export async function isRevoked(
  broker: Pick<Broker, 'state'>,
  { delegation: named }: Pick<Session, 'delegation'>,
): Promise<boolean> {
  if (named === undefined) return false;
  const found = await findDelegation(broker, named.id);
  return found?.delegation.state !== 'given';
}

/** Returns the failure, `access-denied`, of what is done under a delegation that has been revoked. */
export function toRevoked(): BrokerError {
  return refuse('The delegation has been revoked. Ask for another one.');
}

/** Whether the caller may act on the target as far as their delegation goes; true for one who acts under none. */
export function isCovered({ delegation }: Caller, target: string): boolean {
  return delegation === undefined || delegation.targets.includes(target.toLowerCase());
}

function isReceiver({ to }: Delegation, { id, kind, onBehalfOf }: Caller): boolean {
  // Whoever acts for one person already does not act for another at the same time.
  return to === id && kind === 'workload' && onBehalfOf === undefined;
}

function requireStanding(broker: Broker, delegation: Delegation): void {
  if (isStanding(delegation, broker.now())) return;
  throw delegation.state === 'revoked'
    ? toRevoked()
    : refuse('The delegation has ended. Ask for another one.');
}

function refuse(sentence: string): BrokerError {
  return new BrokerError('access-denied', sentence, { advice: [] });
}

function withDelegation(caller: Caller, delegation: Delegation): Caller {
  const { id, from, targets, expiresAt, limits } = delegation;
  const { maxSessions, ...terms } = limits;
  const held: HeldDelegation = {
    id,
    terms,
    targets,
    expiresAt: new Date(expiresAt),
    ...(maxSessions === undefined ? {} : { maxSessions }),
  };
  return { ...caller, onBehalfOf: from, delegation: held };
}
