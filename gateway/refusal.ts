import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { BrokerError } from '../lib/failure.ts';
import type { Problem } from '../lib/problem.ts';
import { toProblem } from '../lib/problem.ts';
import { BrokerRefusal } from './broker-client.ts';

/** A refusal as it goes over HTTP. */
export type Refusal = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Problem details (RFC 9457); empty when something failed that the client may not know about. */
  readonly body: string;
  /** The code for the log. */
  readonly code: string;
};

const lingerMilliseconds = 2000;

/** Turns whatever was thrown into the refusal that the client gets. */
export function toRefusal(error: unknown): Refusal {
  if (error instanceof BrokerError)
    return toAnswer(toProblem(error), error.details.retryAfterSeconds);
  if (error instanceof BrokerRefusal) return toAnswer(error.problem, error.retryAfterSeconds);
  return { status: 500, headers: {}, body: '', code: 'gateway-failed' };
}

/** Writes a refusal as a whole HTTP response and closes the socket, which is not an HTTP server's any more. */
export function refuse(socket: Duplex, { status, headers, body }: Refusal): void {
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Refused'}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  const timer = setTimeout(() => socket.destroy(), lingerMilliseconds);
  socket.on('error', () => {});
  socket.once('close', () => clearTimeout(timer));
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`);
  // What still arrives is read and dropped: a reset would take the answer away from the client.
  socket.resume();
}

function toAnswer(problem: Problem, retryAfterSeconds: number | undefined): Refusal {
  const headers = {
    'content-type': 'application/problem+json',
    'cache-control': 'no-store',
    ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }),
    ...(problem.status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
    ...(problem.status === 426 ? { upgrade: 'websocket', 'sec-websocket-version': '13' } : {}),
  };
  return { status: problem.status, headers, body: JSON.stringify(problem), code: problem.code };
}
