import { BrokerError } from '../lib/failure.ts';
import type { RedeemRequest } from '../lib/gateway-call.ts';
import { isHandle } from '../lib/handle.ts';
import { verifyTicket } from '../lib/ticket.ts';
import type { Place } from './capacity.ts';
import type { Connection, Ending } from './connection.ts';
import type { Gateway } from './gateway.ts';
import type { TargetSocket } from './target-socket.ts';
import { dial } from './target-socket.ts';

/** What a ticket was good for: a connection that the broker has granted, and the socket to its target. */
export type Admission = { readonly connection: Connection; readonly target: TargetSocket };

/** What a client presents. `gone` aborts when it hangs up. */
export type Visitor = Pick<RedeemRequest, 'ticket' | 'clientIp'> & { readonly gone: AbortSignal };

const admissionMilliseconds = 10_000;
const retryAfterSeconds = 5;

/**
 * Lets a visitor in, within 10 s. No ticket passes that the broker does not redeem, and no byte goes to or comes from
 * a target before it has; nothing but the host and port that the broker signed is dialled. Fails with a BrokerError or
 * a BrokerRefusal, and then every connection that the broker granted has ended.
 */
export async function admit(gateway: Gateway, visitor: Visitor): Promise<Admission> {
  if (gateway.isDraining())
    throw new BrokerError('gateway-draining', 'Connect again.', { retryAfterSeconds });
  if (gateway.leases.isClockSkewed)
    throw new BrokerError('clock-skewed', 'Ask the operator to set the clock of the gateway.');
  const place = gateway.capacity.take();
  try {
    const { connection, target } = isHandle(visitor.ticket)
      ? await admitHandle(gateway, visitor, place)
      : await admitTicket(gateway, visitor, place);
    void connection.ended.then(place.release);
    return { connection, target };
  } catch (error) {
    place.release();
    throw error;
  }
}

/** Garbage costs no call: what is not signed for this gateway stops here. */
async function admitTicket(gateway: Gateway, visitor: Visitor, place: Place): Promise<Admission> {
  const { permission } = verifyTicket(visitor.ticket, gateway.verifier(), new Date());
  const { host, port, session } = permission;
  checkHost(gateway, host);
  place.assign(permission.caller);
  const refused = new AbortController();
  const limit = AbortSignal.timeout(admissionMilliseconds);
  const redeeming = redeem(gateway, visitor, limit);
  redeeming.catch(() => refused.abort());
  const dialLimit = AbortSignal.any([limit, visitor.gone, refused.signal]);
  const { connection, target } = await join(visitor, redeeming, dial(host, port, dialLimit));
  const { grant } = connection;
  if (grant.host === host && grant.port === port && grant.session === session)
    return { connection, target };
  target.destroy();
  connection.end('target-gone');
  throw new BrokerError('target-changed', 'Ask for a new ticket of this session.');
}

/** A handle says nothing by itself, so the broker is asked before anything is dialled. */
async function admitHandle(gateway: Gateway, visitor: Visitor, place: Place): Promise<Admission> {
  const limit = AbortSignal.timeout(admissionMilliseconds);
  const connection = await redeemHandle(gateway, visitor, limit);
  const { caller, host, port } = connection.grant;
  endUnless(connection, 'connection-limit', () => place.assign(caller));
  endUnless(connection, 'policy', () => checkHost(gateway, host));
  const dialLimit = AbortSignal.any([limit, visitor.gone]);
  return join(visitor, Promise.resolve(connection), dial(host, port, dialLimit));
}

async function redeemHandle(
  gateway: Gateway,
  visitor: Visitor,
  limit: AbortSignal,
): Promise<Connection> {
  const place = gateway.handles.take();
  try {
    place.assign(visitor.clientIp ?? '');
    return await redeem(gateway, visitor, limit);
  } finally {
    place.release();
  }
}

function endUnless(connection: Connection, reason: Ending, check: () => void): void {
  try {
    check();
  } catch (error) {
    connection.end(reason);
    throw error;
  }
}

function checkHost(gateway: Gateway, host: string): void {
  if (!gateway.mayDial(host))
    throw new BrokerError(
      'address-forbidden',
      'Ask the operator to list the network of the target.',
    );
}

// It goes on when the visitor hangs up: of a grant that nobody waited for, nobody would report the close.
async function redeem(gateway: Gateway, visitor: Visitor, limit: AbortSignal): Promise<Connection> {
  const { ticket, clientIp } = visitor;
  const wanted = { ticket, ...(clientIp === undefined ? {} : { clientIp }) };
  return gateway.leases.open(await gateway.broker.redeem(wanted, limit));
}

async function join(
  visitor: Visitor,
  redeeming: Promise<Connection>,
  dialling: Promise<TargetSocket>,
): Promise<Admission> {
  const [redeemed, dialled] = await Promise.allSettled([redeeming, dialling]);
  if (redeemed.status === 'rejected') {
    if (dialled.status === 'fulfilled') dialled.value.destroy();
    throw redeemed.reason;
  }
  if (dialled.status === 'rejected') {
    redeemed.value.end(toEnding(dialled.reason, visitor));
    throw dialled.reason;
  }
  return { connection: redeemed.value, target: dialled.value };
}

function toEnding(error: unknown, { gone }: Visitor): Ending {
  if (gone.aborted) return 'client-lost';
  const isRefused = error instanceof BrokerError && error.code === 'target-refused';
  return isRefused ? 'target-refused' : 'target-timeout';
}
