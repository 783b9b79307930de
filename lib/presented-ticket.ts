import type { AuditEvent } from './audit.ts';
import type { Broker, GatewayPool } from './broker.ts';
import { BrokerError } from './failure.ts';
import type { RedeemRequest } from './gateway-call.ts';
import { isHandle, openHandle } from './handle.ts';
import type { Permission } from './ticket.ts';
import { verifyTicket } from './ticket.ts';

/** A ticket or handle as a client presented it to a gateway. */
export type Presented = Pick<RedeemRequest, 'ticket' | 'clientIp'>;

/**
 * Returns what a presented ticket permits. Fails with `ticket-invalid`, which is recorded first, unless it is about a
 * handle that nobody knows.
 */
export async function readPermission(
  broker: Broker,
  pool: GatewayPool,
  presented: Presented,
): Promise<Permission> {
  const ticket = isHandle(presented.ticket)
    ? await findTicket(broker, pool, presented)
    : presented.ticket;
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
      await broker.audit.append([toRefused(pool, presented, failure.code)]);
    throw failure;
  }
}

// Logged, not recorded: anyone can make up handles, and must not be able to fill the audit log.
async function findTicket(
  broker: Broker,
  pool: GatewayPool,
  { ticket: handle, clientIp }: Presented,
): Promise<string> {
  const ticket = await openHandle(broker.state, handle);
  if (ticket !== undefined) return ticket;
  broker.log('handle-unknown', { gateway: pool.id, clientIp });
  throw new BrokerError('ticket-invalid', 'Ask for a new ticket of this session.');
}

/** Spends a ticket, for whoever names this nonce. Returns whether it is theirs: now, or because they repeat themselves. */
export async function spendTicket(
  broker: Broker,
  { ticket, expiresAt }: Permission,
  nonce: string,
): Promise<boolean> {
  const hour = expiresAt.toISOString().slice(0, 13).replaceAll(/\D/g, '');
  // Create, never upsert: the row that is there already belongs to whoever came first.
  const row = { partition: `rd|${hour}`, row: ticket, values: { nonce } };
  return (await broker.state.insert(row)) === 'inserted';
}

/** Returns the event that records why a ticket was refused. */
export function toRefused(
  pool: GatewayPool,
  { clientIp }: Presented,
  code: BrokerError['code'],
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
