import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createWebSocketStream } from 'ws';
import { FakeBroker } from '../support/fake-broker.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { TcpTarget } from '../support/tcp-target.ts';

const mebibyte = 1_048_576;
const offered = 256 * mebibyte;
const chunk = Buffer.alloc(mebibyte, 'f');

const broker = new FakeBroker();
let gateway: GatewayProcess;

beforeAll(async () => {
  await broker.listen();
  gateway = await GatewayProcess.start(broker);
});

afterAll(async () => {
  await gateway.stop();
  await broker.close();
});

function rssMebibytes(): number {
  const status = readFileSync(`/proc/${gateway.process.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}

function flood(): Readable {
  let sent = 0;
  return new Readable({
    read() {
      sent += chunk.length;
      this.push(sent <= offered ? chunk : null);
    },
  });
}

/** Resolves when a count has stood still: there is no event for a peer that takes nothing more. */
async function whenStill(count: () => number): Promise<void> {
  for (let last = -1; last !== count();) {
    last = count();
    await setTimeout(400);
  }
}

// Threat 29: a peer that stops reading must not fill the memory of the gateway.
describe('a peer that does not read', () => {
  test('as a client costs less than 32 MiB, and gets every byte once it reads', async () => {
    const target = await TcpTarget.start((socket) => flood().pipe(socket));
    const before = rssMebibytes();
    const socket = await gateway.open(await broker.issueTicket(target.port));
    const source = await target.socket();
    await whenStill(() => source.bytesWritten);
    const growth = rssMebibytes() - before;
    const stalledAt = source.bytesWritten;
    let bytes = 0;
    socket.on('message', (part: Buffer) => {
      bytes += part.length;
    });
    socket.resume();
    await once(socket, 'close');
    await target.stop();

    expect(stalledAt).toBeLessThan(offered / 2);
    expect(growth).toBeLessThan(32);
    expect(bytes).toBe(offered);
  });

  test('as a target costs less than 32 MiB, and gets every byte once it reads', async () => {
    const target = await TcpTarget.start((socket) => socket.pause());
    const before = rssMebibytes();
    const socket = await gateway.open(await broker.issueTicket(target.port), ['sallyport.v1']);
    const stream = createWebSocketStream(socket);
    let taken = 0;
    flood()
      .on('data', (part: Buffer) => {
        taken += part.length;
      })
      .pipe(stream, { end: false });
    await whenStill(() => taken);
    const stalledAt = taken;
    const growth = rssMebibytes() - before;
    const sink = await target.socket();
    let bytes = 0;
    const all = Promise.withResolvers<void>();
    sink.on('data', (part) => {
      bytes += part.length;
      if (bytes === offered) all.resolve();
    });
    sink.resume();
    await all.promise;
    socket.close();
    await target.stop();

    expect(stalledAt).toBeLessThan(offered / 2);
    expect(growth).toBeLessThan(32);
    expect(bytes).toBe(offered);
  });
});
