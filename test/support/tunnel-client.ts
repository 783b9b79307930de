import { readFileSync } from 'node:fs';
import WebSocket from 'ws';

/** How an attempt to connect ended: open, or refused with a status before the upgrade. */
export type Attempt =
  | { readonly outcome: 'open'; readonly socket: WebSocket }
  | { readonly outcome: 'refused'; readonly status: number; readonly body: string };

/** Presents a ticket at a gateway, as any WebSocket client would. */
export async function presentTicket(
  endpoint: string,
  ticket: string,
  caFile: string,
): Promise<Attempt> {
  const socket = new WebSocket(endpoint, ['sallyport.v1'], {
    ca: readFileSync(caFile),
    headers: { authorization: `Bearer ${ticket}` },
    perMessageDeflate: false,
  });
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve({ outcome: 'open', socket }));
    socket.once('unexpected-response', (_request, response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => {
        const body = Buffer.concat(parts).toString();
        resolve({ outcome: 'refused', status: response.statusCode ?? 0, body });
      });
    });
    socket.once('error', reject);
  });
}

/** Presents a ticket and returns the open socket, or throws what the gateway said. */
export async function openTunnel(
  endpoint: string,
  ticket: string,
  caFile: string,
): Promise<WebSocket> {
  const attempt = await presentTicket(endpoint, ticket, caFile);
  if (attempt.outcome === 'open') return attempt.socket;
  throw new Error(`refused with ${String(attempt.status)}: ${attempt.body}`);
}

/** Resolves with the close code once the socket has closed. */
export async function waitForClose(socket: WebSocket): Promise<number> {
  if (socket.readyState === WebSocket.CLOSED) throw new Error('the socket had closed before');
  return new Promise((resolve) => socket.once('close', resolve));
}

/** Sends bytes and resolves with the same number of bytes from the other side. */
export async function echo(socket: WebSocket, data: Buffer): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  const received = new Promise<Buffer>((resolve) => {
    socket.on('message', function collect(part: Buffer) {
      parts.push(part);
      length += part.length;
      if (length < data.length) return;
      socket.off('message', collect);
      resolve(Buffer.concat(parts));
    });
  });
  socket.send(data);
  return received;
}
