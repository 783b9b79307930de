import type { Broker } from '../../lib/broker.ts';
import type { Caller } from '../../lib/caller.ts';
import type { RedeemAnswer, RedeemRequest } from '../../lib/gateway-call.ts';
import { redeemTicket } from '../../lib/redeem-ticket.ts';
import { requestSession } from '../../lib/request-session.ts';
import type { SessionRequest } from '../../lib/session-request.ts';
import type { SessionView } from '../../lib/session-view.ts';
import { ada, gateway, vm } from './test-broker.ts';

/** What the tests ask for when it does not matter. */
export const ssh: SessionRequest = { target: vm.id, protocol: 'ssh', durationSeconds: 3600 };

export const sessionId = '5e551000-0000-4000-8000-000000000001';
export const instance = '9a7e0000-0000-4000-8000-000000000001';
export const nonce = 'c0ec7000-0000-4000-8000-000000000001';

/** Opens a session and returns it with its ticket. */
export async function openSession(
  broker: Broker,
  changes: Partial<SessionRequest> & { readonly id?: string; readonly caller?: Caller } = {},
): Promise<SessionView & { readonly ticket: NonNullable<SessionView['ticket']> }> {
  const { id = sessionId, caller = ada, ...wish } = changes;
  const { view } = await requestSession(broker, caller, { ...ssh, ...wish }, { id });
  const { ticket } = view;
  if (ticket === undefined) throw new Error('the session has no ticket');
  return { ...view, ticket };
}

/** Redeems a ticket as the gateway of the test broker. */
export async function redeem(
  broker: Broker,
  ticket: string,
  changes: Partial<RedeemRequest> = {},
): Promise<RedeemAnswer> {
  return redeemTicket(broker, gateway, { ticket, instance, nonce, ...changes });
}
