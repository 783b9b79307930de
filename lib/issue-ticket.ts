import type { AuditEvent } from './audit.ts';
import type { Broker } from './broker.ts';
import { sealTicket } from './handle.ts';
import type { ReadySession } from './session.ts';
import type { TicketRequest } from './session-view.ts';
import type { Row } from './table.ts';
import { signTicket, ticketSeconds } from './ticket.ts';

/**
 * A ticket that is signed and not yet handed out: its secret may leave only once its event is in the audit log and its
 * rows, if any, are stored.
 */
export type PreparedTicket = {
  readonly event: AuditEvent;
  readonly rows: readonly Row[];
  readonly view: {
    readonly ticket: string;
    readonly form: 'jwt' | 'handle';
    readonly expiresAt: string;
  };
};

/** Signs a ticket for one connection of the session. Fails with `keys-unavailable` when this process has no key in force. */
export async function prepareTicket(
  broker: Broker,
  session: ReadySession,
  form: TicketRequest['form'],
): Promise<PreparedTicket> {
  const key = await broker.keys.current();
  const issuedAt = broker.now();
  const deadline = new Date(session.deadline);
  const expiresAt = new Date(
    Math.min(issuedAt.getTime() + ticketSeconds * 1000, deadline.getTime()),
  );
  const id = broker.newId();
  const permission = {
    ticket: id,
    session: session.id,
    caller: session.caller.id,
    gateway: broker.gateway.id,
    target: session.target.id,
    protocol: session.protocol,
    host: session.host,
    port: session.port,
    deadline,
    terms: session.terms,
    policy: session.digest,
    issuedAt,
    expiresAt,
  };
  const ticket = signTicket(permission, broker.url.origin, key);
  const sealed = form === 'handle' ? sealTicket(ticket, expiresAt) : undefined;
  const event: AuditEvent = {
    type: 'ticket.issued',
    session: session.id,
    caller: session.caller,
    ticket: id,
    form,
    kid: key.kid,
    gateway: broker.gateway.id,
    target: session.target.id,
    host: session.host,
    port: session.port,
    expiresAt: expiresAt.toISOString(),
  };
  return {
    event,
    rows: sealed === undefined ? [] : [sealed.row],
    view: { ticket: sealed?.handle ?? ticket, form, expiresAt: expiresAt.toISOString() },
  };
}
