import type { Broker } from '../lib/broker.ts';
import type { Requested } from '../lib/request-session.ts';
import type { Answer } from './answer.ts';

/** Answers a request for a session: 201 with its place when this call made it, 200 when an earlier one had. */
export function toRequested(broker: Broker, { view, isNew }: Requested): Answer {
  const location = new URL(`/api/sessions/${view.id}`, broker.url).href;
  return { status: isNew ? 201 : 200, body: view, headers: { location } };
}
