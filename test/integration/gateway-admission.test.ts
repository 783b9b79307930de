import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { FailureCode } from '../../lib/failure.ts';
import { FakeBroker } from '../support/fake-broker.ts';
import { GatewayProcess, Refused } from '../support/gateway-process.ts';
import { TcpTarget } from '../support/tcp-target.ts';

const broker = new FakeBroker();
let gateway: GatewayProcess;
let target: TcpTarget;

beforeAll(async () => {
  await broker.listen();
  gateway = await GatewayProcess.start(broker, {
    SALLYPORT_ALLOWED_ORIGINS: 'https://portal.example',
  });
});

beforeEach(async () => {
  target = await TcpTarget.start((socket) => socket.pipe(socket));
});

afterEach(async () => {
  await target.stop();
  Object.assign(broker.behaviour, { isAway: false, lostAnswers: 0, refusal: undefined, grant: {} });
});

afterAll(async () => {
  await gateway.stop();
  await broker.close();
});

async function refusalOf(opening: Promise<unknown>): Promise<Refused> {
  const outcome = await opening.catch((error: unknown) => error);
  if (outcome instanceof Refused) return outcome;
  throw new Error('it was not refused', { cause: outcome });
}

describe('/connect', () => {
  test('lets a browser in that offers its ticket as a subprotocol, and never echoes the ticket', async () => {
    const ticket = await broker.issueTicket(target.port);
    const socket = await gateway.openWith({}, ['sallyport.v1', `ticket.${ticket}`]);

    expect(socket.protocol).toBe('sallyport.v1');
    socket.close();
  });

  test('lets a handle in', async () => {
    const socket = await gateway.open(broker.issueHandle(target.port));
    socket.resume();
    socket.send(Buffer.from('by handle'));

    expect((await once(socket, 'message')).map(String)[0]).toBe('by handle');
    socket.close();
  });

  test('lets a page of a listed origin in', async () => {
    const authorization = `Bearer ${await broker.issueTicket(target.port)}`;
    const socket = await gateway.openWith({ authorization, origin: 'https://portal.example' });

    expect(socket.readyState).toBe(socket.OPEN);
    socket.close();
  });

  // A lost answer must not cost the ticket.
  test('redeems again under the same nonce when the answer was lost', async () => {
    broker.behaviour.lostAnswers = 1;
    const socket = await gateway.open(await broker.issueTicket(target.port));
    const [first, second] = broker.redemptions.slice(-2);

    expect(first?.nonce).toBe(second?.nonce);
    expect(first?.clientIp).toBe('127.0.0.1');
    socket.close();
  });
});

describe('/connect refuses without a call to broker or target', () => {
  let calls: number;
  beforeEach(() => {
    calls = broker.redemptions.length;
  });
  afterEach(() => {
    expect(broker.redemptions.length).toBe(calls);
    expect(target.sockets).toEqual([]);
  });

  // Threat 1: URLs are in the logs of every proxy.
  test('401 a ticket in the query, even when it is also in the header', async () => {
    const ticket = await broker.issueTicket(target.port);
    const headers = { authorization: `Bearer ${ticket}` };
    const inQuery = await refusalOf(gateway.openWith({}, [], `${gateway.url}?ticket=${ticket}`));
    const inBoth = await refusalOf(gateway.openWith(headers, [], `${gateway.url}?x`));

    expect([inQuery.status, inQuery.code]).toEqual([401, 'ticket-leaked']);
    expect([inBoth.status, inBoth.code]).toEqual([401, 'ticket-invalid']);
  });

  test('401 no ticket', async () => {
    const refusal = await refusalOf(gateway.openWith({}));

    expect(refusal.status).toBe(401);
    expect(refusal.headers).toMatchObject({
      'www-authenticate': 'Bearer',
      'content-type': 'application/problem+json',
    });
  });

  test('400 two tickets', async () => {
    const ticket = await broker.issueTicket(target.port);
    const headers = { authorization: `Bearer ${ticket}` };

    expect((await refusalOf(gateway.openWith(headers, [`ticket.${ticket}`]))).status).toBe(400);
  });

  test.each(['https://evil.example', 'null', 'https://portal.example.evil.example'])(
    '403 a page of origin %s, even with a ticket',
    async (origin) => {
      const authorization = `Bearer ${await broker.issueTicket(target.port)}`;
      const refusal = await refusalOf(gateway.openWith({ authorization, origin }));

      expect([refusal.status, refusal.code]).toEqual([403, 'origin-forbidden']);
    },
  );

  // Threat 8. What is not canonical text is refused as well, whoever signed it.
  test.each([
    '169.254.169.254',
    '168.63.129.16',
    '0.0.0.0',
    '::1',
    '::ffff:127.0.0.1',
    '64:ff9b::a9fe:a9fe',
    '0x7f.1',
    '2130706433',
    '127.1',
    'localhost',
    'fe80::1%lo',
  ])('403 a ticket for the address %s', async (host) => {
    const refusal = await refusalOf(gateway.open(await broker.issueTicket(target.port, { host })));

    expect([refusal.status, refusal.code]).toEqual([403, 'address-forbidden']);
  });

  test('404 another path', async () => {
    const url = gateway.url.replace('/connect', '/elsewhere');

    expect((await refusalOf(gateway.openWith({}, [], url))).code).toBe('not-found');
  });
});

describe('/connect refuses before any byte reaches the target', () => {
  afterEach(async () => {
    for (const socket of target.sockets) {
      if (!socket.closed) await once(socket, 'close');
      expect(socket.bytesRead).toBe(0);
    }
  });

  test('409 a spent ticket', async () => {
    const ticket = await broker.issueTicket(target.port);
    const winner = await gateway.open(ticket);
    const refusal = await refusalOf(gateway.open(ticket));
    winner.close();

    expect([refusal.status, refusal.code]).toEqual([409, 'ticket-spent']);
  });

  test.each<[number, FailureCode]>([
    [409, 'session-ended'],
    [429, 'connection-limit'],
    [503, 'audit-unavailable'],
  ])('%i as the broker refuses with %s', async (status, code) => {
    broker.behaviour.refusal = code;
    const refusal = await refusalOf(gateway.open(await broker.issueTicket(target.port)));

    expect([refusal.status, refusal.code]).toEqual([status, code]);
  });

  // The gateway's own identity is no business of the client.
  test('503 when the broker does not know the gateway', async () => {
    broker.behaviour.refusal = 'gateway-unknown';
    const refusal = await refusalOf(gateway.open(await broker.issueTicket(target.port)));

    expect([refusal.status, refusal.code]).toEqual([503, 'broker-unavailable']);
  });

  test('503 when the broker is away', async () => {
    broker.behaviour.isAway = true;
    const refusal = await refusalOf(gateway.open(await broker.issueTicket(target.port)));

    expect([refusal.status, refusal.code]).toEqual([503, 'broker-unavailable']);
    expect(refusal.headers['retry-after']).toBe('5');
  });

  test.each([
    ['port', { port: 2 }],
    ['session', { session: randomUUID() }],
  ])('409 when the broker grants another %s than the ticket names', async (_name, grant) => {
    const session = randomUUID();
    broker.behaviour.grant = grant;
    const ticket = await broker.issueTicket(target.port, { session });
    const refusal = await refusalOf(gateway.open(ticket));

    expect([refusal.status, refusal.code]).toEqual([409, 'target-changed']);
    const granted = { session, ...grant };
    expect(await broker.findClose(granted.session)).toMatchObject({ reason: 'target-gone' });
  });

  test('403 a handle that the broker opens to a forbidden address', async () => {
    const session = randomUUID();
    const handle = broker.issueHandle(80, { session, host: '169.254.169.254' });
    const refusal = await refusalOf(gateway.open(handle));

    expect([refusal.status, refusal.code]).toEqual([403, 'address-forbidden']);
    expect(await broker.findClose(session)).toMatchObject({ reason: 'policy' });
  });

  test('401 an unknown handle', async () => {
    expect((await refusalOf(gateway.open('u'.repeat(43)))).status).toBe(401);
  });

  test('502 when the target refuses, and reports the connection closed', async () => {
    const session = randomUUID();
    const ticket = await broker.issueTicket(1, { session });
    const refusal = await refusalOf(gateway.open(ticket));

    expect([refusal.status, refusal.code]).toEqual([502, 'target-refused']);
    expect(await broker.findClose(session)).toMatchObject({
      reason: 'target-refused',
      bytesUp: 0,
      bytesDown: 0,
    });
  });

  test('504 when the target does not answer within 10 s, and reports the connection closed', async () => {
    const session = randomUUID();
    await using hole = await openBlackHole();
    const refusal = await refusalOf(gateway.open(await broker.issueTicket(hole.port, { session })));

    expect([refusal.status, refusal.code]).toEqual([504, 'target-timeout']);
    expect(await broker.findClose(session)).toMatchObject({ reason: 'target-timeout' });
  });
});

test('no line of the log holds a ticket', async () => {
  const ticket = await broker.issueTicket(target.port);
  await refusalOf(gateway.openWith({}, [], `${gateway.url}?${ticket}`));
  await refusalOf(gateway.open(`${ticket}x`));
  const log = JSON.stringify(gateway.lines);

  expect(log).toContain('request-refused');
  for (const { ticket: used } of broker.redemptions) expect(log).not.toContain(used.slice(-40));
  expect(log).not.toContain(ticket.slice(-40));
  expect(log).not.toContain('gateway-token');
});

/** Opens a port that drops every SYN: a stopped process with a full backlog. */
async function openBlackHole(): Promise<{ port: number } & AsyncDisposable> {
  const script = `const s = require('net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 },
    () => console.log(s.address().port))`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = await once(createInterface({ input: child.stdout }), 'line');
  const port = Number(lines[0]);
  child.kill('SIGSTOP');
  const fill = Array.from({ length: 4 }, () => connect(port, '127.0.0.1').on('error', () => {}));
  await Promise.all(fill.slice(0, 2).map(async (socket) => once(socket, 'connect')));
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      for (const socket of fill) socket.destroy();
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}
