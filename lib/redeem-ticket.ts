import type { AuditEvent } from './audit.ts';
import type { Broker, GatewayPool } from './broker.ts';
import type { Caller } from './caller.ts';
import { decideAgain } from './decide-again.ts';
import { BrokerError } from './failure.ts';
import type { RedeemAnswer, RedeemRequest } from './gateway-call.ts';
import { isHandle, openHandle } from './handle.ts';
import { joinConnection } from './join-connection.ts';
import { requireOwnProcess } from './live-connection.ts';
import { readLocks, requireUnlocked, toLockable } from './lock.ts';
import { requireGateway } from './require-gateway.ts';
import type { StoredSession } from './session.ts';
import { findSession, replaceSession, requireOpen } from './session.ts';
import type { Permission } from './ticket.ts';
import { verifyTicket } from './ticket.ts';

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
  const ticket = isHandle(request.ticket)
    ? await findTicket(broker, pool, request)
    : request.ticket;
  try {
    const verifier = { roots: broker.keys.roots, issuer: broker.url.origin, gateway: pool.id };
    const { permission, kid } = verifyTicket(ticket, verifier, broker.now());
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

// Logged, not recorded: anyone can make up handles, and must not be able to fill the audit log.
async function findTicket(
  broker: Broker,
  pool: GatewayPool,
  { ticket: handle, clientIp }: RedeemRequest,
): Promise<string> {
  const ticket = await openHandle(broker.state, handle);
  if (ticket !== undefined) return ticket;
  broker.log('handle-unknown', { gateway: pool.id, clientIp });
  throw new BrokerError('ticket-invalid', 'Ask for a new ticket of this session.');
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
  const session = await checkSession(broker, permission, stored);
  const lockable = toLockable(broker, permission.session, session.session.input);
  requireUnlocked(locks, lockable);
  await joinConnection(broker, { pool, request, permission, lockable });
  if (session.session.state === 'ready') await markActive(broker, session);
  return toAnswer(broker, permission, request.nonce);
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

// Create, never upsert: the row that is there already belongs to whoever came first.
async function spendTicket(broker: Broker, permission: Permission, nonce: string): Promise<void> {
  const hour = permission.expiresAt.toISOString().slice(0, 13).replaceAll(/\D/g, '');
  const row = { partition: `rd|${hour}`, row: permission.ticket, values: { nonce } };
  if ((await broker.state.insert(row)) === 'exists')
    throw new BrokerError('ticket-spent', 'A ticket lets one connection in. Ask for a new one.');
}

async function checkSession(
  broker: Broker,
  permission: Permission,
  stored: StoredSession | undefined,
): Promise<StoredSession> {
  if (stored === undefined)
    throw new BrokerError('session-ended', 'The session is not known. Ask for a new one.');
  requireOpen(stored.session, broker.now());
  const now = Math.floor(broker.now().getTime() / 1000);
  const { id: session, input: first } = stored.session;
  const input = { ...first, context: { ...first.context, now } };
  await decideAgain(broker, session, input, 'Policy no longer permits this session.');
  if (!broker.mayDial(permission.host))
    throw new BrokerError('address-forbidden', 'The address of the target may not be dialled.');
  return stored;
}

// Whoever loses this race lost it to another connection, which wrote the same, or to the end of the session, which
// the gateway learns at its next lease.
async function markActive(broker: Broker, { session, etag }: StoredSession): Promise<void> {
  await replaceSession(broker, { session: { ...session, state: 'active' }, etag });
}
