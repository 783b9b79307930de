import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { text } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import ssh2, { type Client, type ClientChannel } from 'ssh2';
import { WebSocket, createWebSocketStream } from 'ws';
import type { SessionView } from '../lib/session-view.ts';
import { sessionViewShape } from '../lib/session-view.ts';
import type { Stack } from './stack.ts';
import type { TrailEntry } from './start-audit.ts';
import { readTrail } from './start-audit.ts';
import type { Progress } from './start-progress.ts';
import type { LocalTarget } from './start-target.ts';

/** What the proof has left behind. */
export type Proof = { readonly session: string; readonly entries: readonly TrailEntry[] };

type Call = (method: string, path: string, body?: object) => Promise<SessionView>;

// The one command that every shell has, and whose output only this machine can know.
const command = 'whoami';
const stepMilliseconds = 10_000;

/**
 * Does as ada what a caller does: asks for a session, presents the ticket at the gateway, checks the host key, and runs a
 * command over SSH. Fails with the reason; a session that is left over then ends by itself within a minute.
 */
export async function prove(stack: Stack, target: LocalTarget, progress: Progress): Promise<Proof> {
  progress.begin('token of ada');
  const call = createCall(stack.url, await stack.getToken('ada'));
  progress.begin('session granted');
  const id = randomUUID();
  const session = await call('PUT', `/api/sessions/${id}`, {
    target: target.listed.id,
    protocol: 'ssh',
    port: target.port,
    durationSeconds: 60,
    reason: 'npm start proves itself',
  });
  await useSession(session, { caFile: stack.caFile, target, progress });
  progress.begin('connection recorded');
  await waitForClose(call, id);
  progress.begin('session terminated');
  await call('POST', `/api/sessions/${id}/terminate`);
  progress.begin('audit log read');
  const entries = await readTrail(stack.tables.url, id, new Date());
  progress.end();
  return { session: id, entries };
}

function createCall(url: string, token: string): Call {
  return async (method, path, body) => {
    const answer = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      signal: AbortSignal.timeout(stepMilliseconds),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }).catch((cause: unknown) => {
      throw new Error(`The broker did not answer ${method} ${path}.`, { cause });
    });
    const said = await answer.text();
    if (answer.ok) return sessionViewShape.parse(JSON.parse(said));
    throw new Error(`The broker answered ${method} ${path} with ${answer.status}: ${said}`);
  };
}

type Surroundings = {
  readonly caFile: string;
  readonly target: LocalTarget;
  readonly progress: Progress;
};

async function useSession(
  { endpoint, ticket }: SessionView,
  { caFile, target, progress }: Surroundings,
): Promise<void> {
  progress.begin('gateway connected');
  const socket = new WebSocket(endpoint, {
    ca: readFileSync(caFile),
    headers: { authorization: `Bearer ${ticket?.ticket}` },
    perMessageDeflate: false,
    handshakeTimeout: stepMilliseconds,
  });
  const closed = once(socket, 'close');
  // Whoever waits for the opening hears of the failure first.
  closed.catch(() => undefined);
  await once(socket, 'open');
  progress.begin('SSH banner');
  const banner = once(socket, 'message');
  const ssh = new ssh2.Client();
  const ready = logIn(ssh, socket, target);
  await Promise.race([banner, ready]);
  progress.begin('SSH logged in');
  await ready;
  progress.begin('command run');
  const output = await withinStep(runCommand(ssh), `The command ${command} did not end`);
  progress.end(`${command}: ${output}`);
  ssh.end();
  await withinStep(closed, 'The gateway did not close the connection');
}

async function logIn(ssh: Client, socket: WebSocket, target: LocalTarget): Promise<void> {
  const ready = once(ssh, 'ready');
  ssh.connect({
    sock: createWebSocketStream(socket),
    username: userInfo().username,
    privateKey: readFileSync(target.keyFile),
    hostVerifier: (key: Buffer) => fingerprintOf(key) === target.hostKeyFingerprint,
    readyTimeout: stepMilliseconds,
  });
  await ready;
}

function fingerprintOf(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

async function runCommand(ssh: Client): Promise<string> {
  const output = await new Promise<string>((resolve, reject) => {
    ssh.once('error', reject);
    ssh.exec(command, (error: Error | undefined, channel: ClientChannel) => {
      if (error) return reject(error);
      channel.stderr.resume();
      // Listen within this call: the whole run may be in the packet that is being read.
      resolve(text(channel.end()));
    });
  });
  const { username } = userInfo();
  // Windows puts the name of the machine before it.
  if (output.trim().endsWith(username)) return output.trim();
  throw new Error(`The target should have said '${username}', and said '${output}'.`);
}

async function withinStep<T>(work: Promise<T>, fault: string): Promise<T> {
  const late = wait(stepMilliseconds, undefined, { ref: false }).then(() => {
    throw new Error(`${fault} within ${stepMilliseconds / 1000} s.`);
  });
  return Promise.race([work, late]);
}

// The gateway reports a close once its connection has gone.
async function waitForClose(call: Call, id: string): Promise<void> {
  const deadline = performance.now() + stepMilliseconds;
  while (performance.now() < deadline) {
    const { connections = [] } = await call('GET', `/api/sessions/${id}`);
    if (connections.length > 0 && connections.every(({ state }) => state === 'closed')) return;
    await wait(25);
  }
  throw new Error('The gateway did not report the end of the connection within 10 s.');
}
