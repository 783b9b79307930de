import { randomBytes, randomUUID } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type WebSocket from 'ws';
import type { DelegationRequest, DelegationView } from '../../lib/delegation.ts';
import { delegationViewShape } from '../../lib/delegation.ts';
import type { SessionView } from '../../lib/session-view.ts';
import { sessionViewShape, ticketAnswerShape, whoamiShape } from '../../lib/session-view.ts';
import { runCli, startCli, toCliEnvironment } from '../support/cli.ts';
import type { EchoServer } from '../support/echo-server.ts';
import { startEchoServer } from '../support/echo-server.ts';
import type { TestStack } from '../support/test-stack.ts';
import { readAudit, startTestStack, testTarget } from '../support/test-stack.ts';
import { echo, openTunnel, presentTicket, waitForClose } from '../support/tunnel-client.ts';

const leaseSeconds = 1;

describe('a pipeline that acts for ada', () => {
  let target: EchoServer;
  let stack: TestStack;
  let pipeline: string;

  beforeAll(async () => {
    target = await startEchoServer();
    const shared = testTarget('shared', target.port);
    stack = await startTestStack({
      // The pipeline may reach what is tagged ci, operators such as ada what is tagged env=test.
      targets: [
        { ...shared, tags: { env: 'test', ci: 'true' } },
        { ...shared, id: randomUUID(), name: 'no-ci', tags: { env: 'test' } },
        { ...shared, id: randomUUID(), name: 'no-env', tags: { ci: 'true' } },
      ],
      brokers: 2,
      gateways: 2,
      brokerSettings: { SALLYPORT_LEASE_SECONDS: String(leaseSeconds) },
    });
    const who = await stack.call('pipeline', 'GET', '/api/whoami');
    pipeline = whoamiShape.parse(who.body).id;
  });

  afterAll(async () => {
    await stack?.close();
    await target?.close();
  });

  async function give(
    giver: string,
    changes: Partial<DelegationRequest> = {},
  ): Promise<DelegationView> {
    const answer = await stack.call(giver, 'PUT', `/api/delegations/${randomUUID()}`, {
      to: pipeline,
      targets: [testTarget('shared', target.port).id],
      services: [{ protocol: 'ssh', port: target.port }],
      expiresAt: new Date(Date.now() + 600_000).toISOString(),
      purpose: 'Deploy the shop.',
      ...changes,
    });
    expect(answer.status).toBe(201);
    return delegationViewShape.parse(answer.body);
  }

  async function ask(delegation: string, id = testTarget('shared', target.port).id) {
    const wish = { target: id, protocol: 'ssh', port: target.port, delegation };
    return stack.call('pipeline', 'POST', '/api/sessions', wish);
  }

  async function makeTicket({ id }: SessionView): Promise<string> {
    const { body } = await stack.call('pipeline', 'POST', `/api/sessions/${id}/tickets`, {});
    return ticketAnswerShape.parse(body).ticket;
  }

  async function connect(session: SessionView): Promise<readonly WebSocket[]> {
    return Promise.all(
      stack.gateways.map(async ({ url }) =>
        openTunnel(url, await makeTicket(session), stack.caFile),
      ),
    );
  }

  test('works within what was given, and is recorded as both', async () => {
    const { id } = await give('ada', { limits: { maxConnections: 2, maxBytes: 1_048_576 } });

    const { status, body } = await ask(id);
    const session = sessionViewShape.parse(body);
    const [socket, other] = await connect(session);
    if (socket === undefined || other === undefined) throw new Error('no connection');
    const data = randomBytes(10_000);
    const echoed = await echo(socket, data);
    const third = await presentTicket(session.endpoint, await makeTicket(session), stack.caFile);
    const listed = await stack.call('ada', 'GET', '/api/sessions?onBehalfOf=me');
    const ended = await stack.call('ada', 'POST', `/api/sessions/${session.id}/terminate`);

    expect(status).toBe(201);
    expect(session).toMatchObject({
      delegation: id,
      onBehalfOf: { name: 'Ada Operator' },
      // The policy about the pipeline gives a quarter of an hour, and the delegation the rest.
      terms: { maxDurationSeconds: 900, maxConnections: 2, maxBytes: 1_048_576 },
    });
    expect(echoed.equals(data)).toBe(true);
    expect(third).toMatchObject({ outcome: 'refused' });
    expect(JSON.stringify(listed.body)).toContain(session.id);
    expect(ended).toMatchObject({ status: 200, body: { endReason: 'terminated' } });
    const entries = await readAudit(stack.audit);
    const own = entries.filter((entry) => entry['session'] === session.id);
    expect(own.find(({ type }) => type === 'session.requested')).toMatchObject({
      caller: { id: pipeline },
      onBehalfOf: { name: 'Ada Operator' },
      delegation: id,
    });
    expect(own.find(({ type }) => type === 'session.allowed')).toMatchObject({
      policies: ['test-pipeline', 'onBehalfOf:test-operators'],
    });
  });

  test('gets nothing where one of the two gets nothing', async () => {
    const targets = await stack.call('ada', 'GET', '/api/targets');
    const noCi = /"id":"([^"]+)","name":"no-ci"/.exec(JSON.stringify(targets.body))?.[1] ?? '';
    const ofAda = await give('ada', { targets: [noCi, testTarget('shared', target.port).id] });
    const ofEve = await give('eve');

    for (const answer of [await ask(ofEve.id), await ask(ofAda.id, noCi), await ask(randomUUID())])
      expect(answer).toMatchObject({ status: 403, body: { code: 'access-denied' } });
  });

  test('is cut within lease + 2 s when ada revokes, on every gateway, and gets no further', async () => {
    const { id } = await give('ada');
    const session = sessionViewShape.parse((await ask(id)).body);
    const sockets = await connect(session);
    const spare = await makeTicket(session);
    const closes = sockets.map(waitForClose);

    const revokedAt = performance.now();
    const revoked = await stack.call('ada', 'DELETE', `/api/delegations/${id}`);
    const codes = await Promise.all(closes);
    const tookSeconds = (performance.now() - revokedAt) / 1000;
    const retry = await presentTicket(session.endpoint, spare, stack.caFile);
    const path = `/api/sessions/${session.id}`;
    const more = await stack.call('pipeline', 'POST', `${path}/tickets`, {});
    const again = await ask(id);

    expect(revoked.status).toBe(204);
    expect(new Set(codes)).toEqual(new Set([4410]));
    expect(tookSeconds).toBeLessThan(leaseSeconds + 2);
    expect(retry).toMatchObject({ outcome: 'refused', status: 409 });
    expect(more).toMatchObject({ status: 409, body: { code: 'session-ended' } });
    expect(again).toMatchObject({ status: 403, body: { code: 'access-denied' } });
    expect(await stack.call('pipeline', 'GET', path)).toMatchObject({
      body: { state: 'ended', endReason: 'delegation-revoked' },
    });
  });

  // Two brokers, one number.
  test('makes as many sessions as it was given, whichever broker is asked', async () => {
    const { id } = await give('ada', { limits: { maxSessions: 3 } });

    const answers = await Promise.all(Array.from({ length: 8 }, async () => ask(id)));

    expect(answers.filter(({ status }) => status === 201)).toHaveLength(3);
    expect(answers.filter(({ status }) => status === 403)).toHaveLength(5);
  });

  test('does so with the command', async () => {
    const service = `ssh:${String(target.port)}`;
    const words = ['delegate', pipeline, '--target', 'shared', '--service', service];
    const given = await runCli(stack, 'ada', [...words, '--until', '10m', '--purpose', 'Deploy.']);
    const id = given.stdout.trim();
    const listed = await runCli(stack, 'ada', ['delegations']);
    const received = await runCli(stack, 'pipeline', ['delegations', '--json']);

    const place = [testTarget('shared', target.port).id, '--port', String(target.port)];
    const child = startCli(
      ['connect', ...place, '--delegation', id],
      await toCliEnvironment(stack, 'pipeline'),
    );
    child.stdin.write('hello');
    const echoed = await new Promise((resolve) => child.stdout.once('data', resolve));
    const sessions = await runCli(stack, 'ada', ['sessions', '--on-behalf-of', 'me']);
    const rest = buffer(child.stderr);
    const closed = new Promise((resolve) => child.once('close', resolve));
    const revoked = await runCli(stack, 'ada', ['undelegate', id]);
    const code = await closed;
    const after = await runCli(stack, 'pipeline', ['connect', ...place, '--delegation', id]);

    expect(given).toMatchObject({ code: 0 });
    expect(listed.stdout).toContain(`${id}  active`);
    expect(received.stdout).toContain(id);
    expect(String(echoed)).toBe('hello');
    expect(sessions.stdout).toContain('for Ada Operator');
    expect(revoked).toMatchObject({ code: 0, stdout: `The delegation ${id} is revoked.\n` });
    expect(code).toBe(6);
    expect(String(await rest)).toContain('terminated');
    expect(after).toMatchObject({ code: 4 });
    expect(after.stderr).toContain('has been revoked');
  });
});
