import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';

/** What a stand-in was asked: enough to tell what the command did. */
export type Seen = {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly ifMatch: string | undefined;
  readonly body: string;
};

export type Reply = {
  readonly status: number;
  readonly body: object;
  readonly headers?: Readonly<Record<string, string>>;
};

/** What a stand-in may do instead of answering. */
export type Silence = 'hang up' | 'stay silent';

/** Answers each request with JSON, hangs up on it, or leaves it open. */
export function serveJson(server: Server, answer: (seen: Seen) => Reply | Silence): void {
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const reply = answer(await toSeen(request));
    if (reply === 'hang up') request.socket.destroy();
    else if (reply !== 'stay silent') send(response, reply);
  };
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    handle(request, response).catch((cause: unknown) => {
      response.writeHead(500).end(String(cause));
    });
  });
}

/** Listens on a free port of this machine and returns its URL. */
export async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return `http://127.0.0.1:${address.port}`;
}

/** Closes a server and what is connected to it. */
export async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  server.closeAllConnections();
  await closed;
}

async function toSeen(request: IncomingMessage): Promise<Seen> {
  const { headers, method = '', url = '' } = request;
  const { authorization, 'if-match': ifMatch } = headers;
  return { method, path: url, authorization, ifMatch, body: await text(request) };
}

function send(response: ServerResponse, { status, body, headers }: Reply): void {
  const type = status < 300 ? 'application/json' : 'application/problem+json';
  response.writeHead(status, { 'content-type': type, ...headers }).end(JSON.stringify(body));
}
