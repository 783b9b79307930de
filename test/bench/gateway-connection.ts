import { readFileSync } from 'node:fs';
import type { Agent } from 'node:http';
import { connect } from 'node:net';
import WebSocket from 'ws';
import { parseGranted, putSession } from './api.ts';
import { receiveBanner } from './banner-server.ts';
import type { BenchStack } from './bench-stack.ts';

/** The steps of one way to the target, in milliseconds. */
export type Steps = {
  /** From the request for a session to its answer. */
  readonly session: number;
  /** TCP and a full TLS handshake with the gateway. */
  readonly secured: number;
  /** From the ticket to the answer that accepts it: redemption, audit and dialling are in it. */
  readonly upgraded: number;
  /** From there to the last byte of the banner. */
  readonly banner: number;
  readonly total: number;
};

/**
 * Requests a session and opens its connection, with a new TLS session each time. The connection stays open until
 * `close`, so that its end does not fall into the time of the next one.
 */
export async function connectThroughGateway(
  bench: BenchStack,
  agent: Agent,
  token: string,
): Promise<{ readonly steps: Steps; readonly close: () => void }> {
  const ca = readFileSync(bench.caFile);
  const startedAt = performance.now();
  const answer = await putSession(bench.url, agent, { token, wish: bench.wish });
  const answeredAt = performance.now();
  const { id, endpoint, ticket } = parseGranted(answer);
  bench.granted.push(id);
  const dialledAt = performance.now();
  const { socket, securedAt, upgradedAt, bannerAt } = await dial(endpoint, ticket.ticket, ca);
  const steps = {
    session: answeredAt - startedAt,
    secured: securedAt - dialledAt,
    upgraded: upgradedAt - securedAt,
    banner: bannerAt - upgradedAt,
    total: bannerAt - startedAt,
  };
  return { steps, close: () => socket.terminate() };
}

/** Connects to the target without anything in between, and returns the milliseconds to its banner. */
export async function connectDirectly(port: number): Promise<number> {
  const startedAt = performance.now();
  const socket = connect(port, '127.0.0.1');
  await receiveBanner((take, fail) =>
    socket
      .on('data', take)
      .once('error', fail)
      .once('close', () => fail(new Error('the target closed the connection'))),
  );
  const milliseconds = performance.now() - startedAt;
  socket.destroy();
  return milliseconds;
}

type Dialled = {
  readonly socket: WebSocket;
  readonly securedAt: number;
  readonly upgradedAt: number;
  readonly bannerAt: number;
};

async function dial(endpoint: string, ticket: string, ca: Buffer): Promise<Dialled> {
  let securedAt = Number.NaN;
  let upgradedAt = Number.NaN;
  const socket = new WebSocket(endpoint, ['sallyport.v1'], {
    ca,
    headers: { authorization: `Bearer ${ticket}` },
    perMessageDeflate: false,
    finishRequest: (request) => {
      request.once('socket', (connection) => {
        connection.once('secureConnect', () => {
          securedAt = performance.now();
        });
      });
      request.end();
    },
  });
  socket.once('open', () => {
    upgradedAt = performance.now();
  });
  await receiveBanner((take, fail) =>
    socket
      .on('message', take)
      .once('error', fail)
      .once('close', (code) => fail(new Error(`the gateway closed with ${String(code)}`))),
  );
  return { socket, securedAt, upgradedAt, bannerAt: performance.now() };
}
