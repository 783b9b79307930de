import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Agent, createServer, request as sendRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

/**
 * What goes wrong on the way: the request is lost, or it is carried out and its answer is lost, never comes or is cut
 * in half; or the service answers that it is in trouble and does nothing.
 */
export type WireFault =
  | 'request-lost'
  | 'answer-lost'
  | 'answer-hangs'
  | 'answer-halved'
  | 500
  | 503;

/** Says what goes wrong with each request. */
export type FindWireFault = (method: string, path: string) => WireFault | undefined;

/** A running proxy; `url` takes the place of the service's. */
export type FaultProxy = { readonly url: URL; readonly close: () => Promise<void> };

/** Starts a proxy on loopback that does to each request what it is told. */
export async function startFaultProxy(service: URL, findFault: FindWireFault): Promise<FaultProxy> {
  const agent = new Agent({ keepAlive: true });
  const server = createServer((request, response) => {
    const fault = findFault(request.method ?? '', request.url ?? '');
    relay({ service, agent, fault }, request, response).catch(() => request.socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(service);
  url.port = String(findPort(server));
  return {
    url,
    close: async () => {
      agent.destroy();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

type Way = { readonly service: URL; readonly agent: Agent; readonly fault: WireFault | undefined };

async function relay(
  { service, agent, fault }: Way,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = await buffer(request);
  if (fault === 'request-lost') return void request.socket.destroy();
  if (typeof fault === 'number') return void response.writeHead(fault).end();
  const { method, url, headers } = request;
  const target = { host: service.hostname, port: service.port, path: url, method, headers, agent };
  const sent = sendRequest(target).end(body);
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    sent.once('response', resolve).once('error', reject);
  });
  const answerBody = await buffer(answer);
  if (fault === 'answer-hangs') return;
  if (fault === 'answer-lost') return void request.socket.destroy();
  const part =
    fault === 'answer-halved' ? answerBody.subarray(0, answerBody.length / 2) : answerBody;
  const { 'transfer-encoding': _, ...rest } = answer.headers;
  response.writeHead(answer.statusCode ?? 0, { ...rest, 'content-length': part.length }).end(part);
}

function findPort(server: Server): number {
  const address: AddressInfo | string | null = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  return address.port;
}
