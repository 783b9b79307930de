import { createNetworkRule, parseAddress } from './address.ts';
import type { Broker, GatewayPool } from './broker.ts';
import type { Caller } from './caller.ts';
import { decideAgain } from './decide-again.ts';
import { BrokerError } from './failure.ts';
import type { RedeemAnswer, RedeemRequest } from './gateway-call.ts';
import { joinConnection } from './join-connection.ts';
import { requireOwnProcess } from './live-connection.ts';
import { readLocks, requireUnlocked, toLockable } from './lock.ts';
import { readPermission, spendTicket, toRefused } from './presented-ticket.ts';
import { requireGateway } from './require-gateway.ts';
import type { SessionBytes } from './session-bytes.ts';
import { findSessionBytes } from './session-bytes.ts';
import type { Session, StoredSession } from './session.ts';
import { findSession, findStartSeconds, replaceSession, requireOpen } from './session.ts';
import type { Terms } from './terms.ts';
import type { Permission } from './ticket.ts';
import { tightenTerms } from './tighten-terms.ts';
import { isRevoked, toRevoked } from './use-delegation.ts';

/**
 * Turns a ticket into one connection, once. The ticket is spent before anything else is looked at; then the session,
 * policy and the limits of both decisions, that of the ticket and that of now, are checked again, and the connection is
 * recorded before the gateway is told. A repetition with the same nonce gets the same answer.
 */
export async function redeemTicket(
  broker: Broker,
  caller: Caller,
  request: RedeemRequest,
): Promise<RedeemAnswer> {
  const pool = requireGateway(broker, caller);
  const permission = await readPermission(broker, pool, request);
  try {
    return await openConnection(broker, pool, request, permission);
  } catch (failure) {
    if (failure instanceof BrokerError)
      await broker.audit.append([toRefused(pool, request, failure.code, permission)]);
    throw failure;
  }
}

async function openConnection(
  broker: Broker,
  pool: GatewayPool,
  request: RedeemRequest,
  permission: Permission,
): Promise<RedeemAnswer> {
  const found = findSession(broker, permission.session);
  const [stored, locks, isOver] = await Promise.all([
    found,
    readLocks(broker),
    // Beside the other calls, and for sessions under a delegation alone.
    found.then(async (known) => known !== undefined && isRevoked(broker, known.session)),
    claimTicket(broker, permission, request.nonce),
    requireOwnProcess(broker, pool, request.instance),
  ]);
  if (stored === undefined)
    throw new BrokerError('session-ended', 'The session is not known. Ask for a new one.');
  const { session } = stored;
  const terms = await decideNow(broker, session, permission);
  if (isOver) throw toRevoked();
  requireSource([permission.terms, terms], request.clientIp);
  const lockable = toLockable(broker, permission.session, session.input);
  requireUnlocked(locks, lockable);
  const permitted = tighten(broker, session, permission, terms);
  const bytesBefore = await requireBytes(broker, permitted, request.instance);
  await joinConnection(broker, { pool, request, permission: permitted, lockable });
  if (session.state === 'ready') await markActive(broker, stored);
  const answer = toAnswer(broker, permitted, request.nonce);
  return { ...answer, ...(bytesBefore === undefined ? {} : { bytesBefore }) };
}

function toAnswer(broker: Broker, permission: Permission, connection: string): RedeemAnswer {
  return {
    connection,
    session: permission.session,
    caller: permission.caller,
    protocol: permission.protocol,
    host: permission.host,
    port: permission.port,
    deadline: permission.deadline.toISOString(),
    terms: permission.terms,
    leaseSeconds: broker.limits.leaseSeconds,
    graceSeconds: broker.limits.graceSeconds,
  };
}

async function claimTicket(broker: Broker, permission: Permission, nonce: string): Promise<void> {
  if (!(await spendTicket(broker, permission, nonce)))
    throw new BrokerError('ticket-spent', 'A ticket lets one connection in. Ask for a new one.');
}

/** Returns the terms under which policy allows the session now. */
async function decideNow(broker: Broker, stored: Session, { host }: Permission): Promise<Terms> {
  requireOpen(stored, broker.now());
  const now = Math.floor(broker.now().getTime() / 1000);
  const { id: session, input: first } = stored;
  const input = { ...first, context: { ...first.context, now } };
  const sentence = 'Policy no longer permits this session.';
  const { terms } = await decideAgain(broker, { session, input, sentence });
  if (!broker.mayDial(host))
    throw new BrokerError('address-forbidden', 'The address of the target may not be dialled.');
  return terms;
}

// An address that the gateway cannot tell is in no network.
function requireSource(both: readonly Terms[], clientIp = ''): void {
  const address = parseAddress(clientIp) ?? '';
  const isIn = ({ sourceNetworks }: Terms): boolean =>
    sourceNetworks === undefined || createNetworkRule(sourceNetworks)(address);
  if (!both.every(isIn))
    throw new BrokerError('source-forbidden', 'Connect from a network that policy permits.');
}

/** Returns what the ticket permits under the terms of now as well; fails when these leave no time. */
function tighten(broker: Broker, session: Session, permission: Permission, now: Terms): Permission {
  const terms = tightenTerms(permission.terms, now);
  const { maxDurationSeconds = Infinity } = now;
  const latest = (findStartSeconds(session) + maxDurationSeconds) * 1000;
  const deadline = new Date(Math.min(latest, permission.deadline.getTime()));
  requireOpen({ ...session, deadline: deadline.toISOString() }, broker.now());
  return { ...permission, terms, deadline };
}

async function requireBytes(
  broker: Broker,
  { session, terms: { maxBytes } }: Permission,
  instance: string,
): Promise<SessionBytes | undefined> {
  if (maxBytes === undefined) return undefined;
  const bytes = await findSessionBytes(broker, session, instance);
  if (maxBytes <= bytes.here + bytes.elsewhere)
    throw new BrokerError(
      'byte-limit',
      'The session has carried all its bytes. Ask for a new one.',
    );
  return bytes;
}

// Whoever loses this race lost it to another connection, which wrote the same, or to the end of the session, which
// the gateway learns at its next lease.
async function markActive(broker: Broker, { session, etag }: StoredSession): Promise<void> {
  await replaceSession(broker, { session: { ...session, state: 'active' }, etag });
}
