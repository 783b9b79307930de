import type { AuditEvent } from './audit.ts';
import type { Broker, GatewayPool } from './broker.ts';
import type { Caller } from './caller.ts';
import { BrokerError } from './failure.ts';
import type { RedeemAnswer, RedeemRequest } from './gateway-call.ts';
import { isHandle, openHandle } from './handle.ts';
import {
  requireOwnProcess,
  toConnectionKey,
  toConnectionRow,
  toGatewayRow,
  toLivePartition,
  toLiveRow,
} from './live-connection.ts';
import type { Lockable } from './lock.ts';
import { readLocks, requireUnlocked, toLockable } from './lock.ts';
import { requireRole } from './role.ts';
import type { StoredSession } from './session.ts';
import { findSession, replaceSession, requireOpen } from './session.ts';
import { releaseSlot, takeSlot } from './slot.ts';
import type { Permission } from './ticket.ts';
import { verifyTicket } from './ticket.ts';

/** Fails with `role-missing` or `gateway-unknown` unless the caller is the workload that the operator named for the pool. */
export function requireGateway(broker: Broker, caller: Caller): GatewayPool {
  requireRole(caller, 'Gateway');
  if (caller.kind !== 'workload' || caller.id !== broker.gateway.caller)
    throw new BrokerError(
      'gateway-unknown',
      'Ask the operator to list this identity as a gateway.',
    );
  return broker.gateway;
}

/**
 * Turns a ticket into one connection, once. The ticket is spent before anything else is looked at; then the session,
 * policy and connection limit are checked again, and the connection is recorded before the gateway is told.
 * A repetition with the same nonce gets the same answer.
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
      await broker.audit.append([toRefused(pool, request, failure, permission)]);
    throw failure;
  }
}

async function readPermission(
  broker: Broker,
  pool: GatewayPool,
  request: RedeemRequest,
): Promise<Permission> {
  try {
    const ticket = isHandle(request.ticket)
      ? await openHandle(broker.state, request.ticket)
      : request.ticket;
    const verifier = { roots: broker.keys.roots, issuer: broker.url.origin, gateway: pool.id };
    const { permission, kid } = verifyTicket(ticket ?? '', verifier, broker.now());
    if (!(await broker.keys.isListed(kid)))
      throw new BrokerError('ticket-invalid', 'Ask for a new ticket of this session.', {
        cause: 'the key of the ticket has been withdrawn',
      });
    return permission;
  } catch (failure) {
    if (failure instanceof BrokerError && failure.code === 'ticket-invalid')
      await broker.audit.append([toRefused(pool, request, failure)]);
    throw failure;
  }
}

function toRefused(
  pool: GatewayPool,
  { clientIp }: RedeemRequest,
  { code }: BrokerError,
  permission?: Permission,
): AuditEvent {
  return {
    type: 'ticket.refused',
    gateway: pool.id,
    code,
    ...(permission === undefined ? {} : { session: permission.session, ticket: permission.ticket }),
    ...(clientIp === undefined ? {} : { clientIp }),
  };
}

async function openConnection(
  broker: Broker,
  pool: GatewayPool,
  request: RedeemRequest,
  permission: Permission,
): Promise<RedeemAnswer> {
  const [stored, locks] = await Promise.all([
    findSession(broker, permission.session),
    readLocks(broker),
    spendTicket(broker, permission, request.nonce),
    requireOwnProcess(broker, pool, request.instance),
  ]);
  const session = checkSession(broker, permission, stored);
  const lockable = toLockable(broker, permission.session, session.session.input);
  requireUnlocked(locks, lockable);
  await takeConnectionSlot(broker, permission, request.nonce);
  await joinConnection(broker, pool, request, { permission, lockable });
  if (session.session.state === 'ready') await markActive(broker, session);
  return toAnswer(broker, permission, request.nonce);
}

function toAnswer(broker: Broker, permission: Permission, connection: string): RedeemAnswer {
  return {
    connection,
    session: permission.session,
    protocol: permission.protocol,
    host: permission.host,
    port: permission.port,
    deadline: permission.deadline.toISOString(),
    terms: permission.terms,
    leaseSeconds: broker.limits.leaseSeconds,
    graceSeconds: broker.limits.graceSeconds,
  };
}

// Create, never upsert: the row that is there already belongs to whoever came first.
async function spendTicket(broker: Broker, permission: Permission, nonce: string): Promise<void> {
  const hour = permission.expiresAt.toISOString().slice(0, 13).replaceAll(/\D/g, '');
  const row = { partition: `rd|${hour}`, row: permission.ticket, values: { nonce } };
  if ((await broker.state.insert(row)) === 'exists')
    throw new BrokerError('ticket-spent', 'A ticket lets one connection in. Ask for a new one.');
}

function checkSession(
  broker: Broker,
  permission: Permission,
  stored: StoredSession | undefined,
): StoredSession {
  if (stored === undefined)
    throw new BrokerError('session-ended', 'The session is not known. Ask for a new one.');
  requireOpen(stored.session, broker.now());
  const { input } = stored.session;
  const now = Math.floor(broker.now().getTime() / 1000);
  const decision = broker.policy.decide({ ...input, context: { ...input.context, now } });
  if (decision.outcome === 'deny')
    throw new BrokerError('access-denied', 'Policy no longer permits this session.', {
      advice: decision.advice,
    });
  if (!broker.mayDial(permission.host))
    throw new BrokerError('address-forbidden', 'The address of the target may not be dialled.');
  return stored;
}

async function takeConnectionSlot(
  broker: Broker,
  { session, terms }: Permission,
  connection: string,
): Promise<void> {
  const limit = Math.min(terms.maxConnections ?? Infinity, broker.limits.maxConnections);
  // An extension moves the deadline, and must not find the place taken.
  const now = broker.now();
  const until = new Date(now.getTime() + broker.limits.maxSessionSeconds * 1000);
  const wanted = { partition: session, holder: connection, until };
  if (!(await takeSlot(broker.state, wanted, limit, now)))
    throw new BrokerError(
      'connection-limit',
      `The session allows ${String(limit)} connections at once. Close one, then ask again.`,
    );
}

type Joined = { readonly permission: Permission; readonly lockable: Lockable };

// Recorded and stored at once; when either fails, the connection is taken back and no gateway hears of it.
async function joinConnection(
  broker: Broker,
  pool: GatewayPool,
  request: RedeemRequest,
  joined: Joined,
): Promise<void> {
  const { permission } = joined;
  const outcomes = await Promise.allSettled([
    recordOpen(broker, pool, request, permission),
    storeOpen(broker, pool, request, joined),
  ]);
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed === undefined) return;
  await Promise.allSettled([
    releaseSlot(broker.state, permission.session, request.nonce),
    broker.state.remove(toLivePartition(request.instance), request.nonce),
    broker.state.remove(permission.session, toConnectionKey(request.nonce)),
  ]);
  throw failed.reason;
}

async function recordOpen(
  broker: Broker,
  pool: GatewayPool,
  { instance, nonce, clientIp }: RedeemRequest,
  { session, ticket, host, port }: Permission,
): Promise<void> {
  const facts = { session, connection: nonce, gateway: pool.id, instance };
  const ip = clientIp === undefined ? {} : { clientIp };
  await broker.audit.append([
    { type: 'ticket.redeemed', ...facts, ticket },
    { type: 'connection.opened', ...facts, host, port, ...ip },
  ]);
}

async function storeOpen(
  broker: Broker,
  pool: GatewayPool,
  { instance, nonce }: RedeemRequest,
  { permission: { session }, lockable }: Joined,
): Promise<void> {
  const now = broker.now();
  const openedAt = now.toISOString();
  const live = { connection: nonce, session, openedAt, lockable };
  const gateway = { instance, pool: pool.id, renewedAt: now.getTime() };
  const connection = { id: nonce, gateway: pool.id, instance, state: 'open', openedAt } as const;
  await Promise.all([
    broker.state.put([toLiveRow(instance, live)]),
    broker.state.put([toConnectionRow(session, connection)]),
    // The first lease may never come, so the process must be known from its first connection on.
    broker.state.insert(toGatewayRow(gateway)),
  ]);
}

// Whoever loses this race lost it to another connection, which wrote the same, or to the end of the session, which
// the gateway learns at its next lease.
async function markActive(broker: Broker, { session, etag }: StoredSession): Promise<void> {
  await replaceSession(broker, { session: { ...session, state: 'active' }, etag });
}
