import type { Broker } from '../lib/broker.ts';
import type { Requested } from '../lib/request-session.ts';
import type { Answer } from './answer.ts';

/** After how many seconds to look again at what takes its time. */
export const retrySeconds = '5';

/**
 * Answers a request for a session: 201 with its place when this call made it, 200 when an earlier one had. One that waits
 * names its status monitor, as the Azure REST guidelines have it.
 */
export function toRequested(broker: Broker, { view, isNew }: Requested): Answer {
  const location = new URL(`/api/sessions/${view.id}`, broker.url).href;
  const isWaiting = view.progress !== undefined;
  return {
    status: isNew ? 201 : 200,
    body: view,
    headers: { location, ...(isWaiting ? toMonitor(broker, view.id) : {}) },
  };
}

/** Returns the headers that lead to the status monitor of an operation. */
export function toMonitor(broker: Broker, id: string): Readonly<Record<string, string>> {
  const monitor = new URL(`/api/operations/${id}`, broker.url).href;
  return { 'operation-location': monitor, 'retry-after': retrySeconds };
}
