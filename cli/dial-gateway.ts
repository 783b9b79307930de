import type { ClientRequest, IncomingMessage } from 'node:http';
import type { WebSocket } from 'ws';
import { toRefusal } from './api-answer.ts';
import { CommandError } from './command-error.ts';
import { exitCodes } from './exit-code.ts';
import { toUnreachable } from './http.ts';
import { parseJson } from './json.ts';
import { readBody } from './read-body.ts';
import { parseSafeUrl } from './safe-url.ts';
import type { Trust } from './trust.ts';

const subprotocol = 'sallyport.v1';

// The gateway redeems the ticket and dials the target, with deadlines of its own, before it answers.
const handshakeTimeout = 30_000;

// Ours are 64 KiB at most; the bound is on what a gateway can make us hold.
const maxPayload = 1024 * 1024;

const maxProblemBytes = 64 * 1024;

/**
 * Presents a ticket at its endpoint and returns the open WebSocket, paused so that no message is lost before somebody
 * listens. Fails with the gateway's problem, or with `UnreachableError`, also when the signal aborts before it is open.
 */
export async function dialGateway(
  endpoint: string,
  ticket: string,
  trust: Trust,
  signal: AbortSignal,
): Promise<WebSocket> {
  const url = parseSafeUrl(endpoint, 'wss:');
  if (url === undefined)
    throw new CommandError(exitCodes.unexpected, `The endpoint ${endpoint} is not a wss URL.`);
  const { WebSocket: Dialler } = await import('ws');
  const socket = new Dialler(url, subprotocol, {
    // In a header, never in the URL: proxies write URLs to their logs.
    headers: { authorization: `Bearer ${ticket}` },
    perMessageDeflate: false,
    handshakeTimeout,
    maxPayload,
    ...(trust.ca === undefined ? {} : { ca: [...trust.ca] }),
  });
  const stop = (): void => socket.terminate();
  const opened = new Promise<WebSocket>((resolve, reject) => {
    socket.once('open', () => {
      socket.pause();
      resolve(socket);
    });
    socket.once('unexpected-response', (request, response) => {
      void readProblem(request, response).then(reject, reject);
    });
    // Not once: what fails after the opening is told by the close that follows.
    socket.on('error', (cause) => reject(toUnreachable(url, cause)));
  });
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  return opened.finally(() => signal.removeEventListener('abort', stop));
}

async function readProblem(
  request: ClientRequest,
  response: IncomingMessage,
): Promise<CommandError> {
  const deadline = setTimeout(() => request.destroy(), handshakeTimeout);
  const status = response.statusCode ?? 0;
  try {
    const body = parseJson(await readBody(response, maxProblemBytes));
    return toRefusal(status, body, 'The connection to the gateway');
  } catch {
    return toRefusal(status, undefined, 'The connection to the gateway');
  } finally {
    clearTimeout(deadline);
    request.destroy();
  }
}
