import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeJwt } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import * as z from 'zod';
import { BrokerError } from '../../lib/failure.ts';
import { startIssuer, type Issuer } from '../../local/issuer.ts';
import { Cli } from '../support/cli-process.ts';
import type { CliProcess } from '../support/cli-process.ts';
import { startBroker, toReply } from '../support/stand-in-broker.ts';
import type { StandInBroker } from '../support/stand-in-broker.ts';
import type { Reply, Seen } from '../support/stand-in-server.ts';

const claimsShape = z.object({
  oid: z.string(),
  acrs: z.array(z.string()).default([]),
  xms_cc: z.array(z.string()).default([]),
});

const wanted = JSON.stringify({ access_token: { acrs: { essential: true, value: 'c1' } } });
const encoded = Buffer.from(wanted).toString('base64');

let folder: string;
let broker: StandInBroker;
let issuer: Issuer;
let cli: Cli;
/** What the broker does with a request for a session. */
let judge: (claims: z.infer<typeof claimsShape>) => Reply | undefined;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-cli-'));
  issuer = await startIssuer({ folder: join(folder, 'issuer'), port: 0 });
  broker = await startBroker(() => 'wss://127.0.0.1:1/connect');
  broker.issuer = issuer.url;
  broker.intercept = answerByToken;
  judge = ({ acrs }) => (acrs.includes('c1') ? undefined : challenge());
  cli = new Cli({ SALLYPORT_CONFIG_DIR: join(folder, 'config') });
});

afterEach(async () => {
  cli.stop();
  await Promise.all([broker.close(), issuer.close()]);
  rmSync(folder, { recursive: true });
});

function answerByToken({ authorization, method, path }: Seen): Reply | undefined {
  if (authorization === undefined) return undefined;
  const claims = claimsShape.parse(decodeJwt(authorization.replace('Bearer ', '')));
  if (path === '/api/whoami') return { status: 200, body: { ...who, id: claims.oid } };
  // Only a client that announces it can answer a challenge.
  if (method !== 'PUT') return undefined;
  return claims.xms_cc.includes('cp1') ? judge(claims) : toReply(tooWeak);
}

const who = {
  kind: 'person',
  name: 'Somebody',
  app: 'sallyport-cli',
  issuer: 'https://issuer.example',
  roles: [],
  groups: [],
};

const tooWeak = new BrokerError('needs-unmet', 'Policy asks for a stronger sign-in.', {
  needs: [{ kind: 'acr', acr: 'c1' }],
});

function challenge(): Reply {
  const header = `Bearer realm="", error="insufficient_claims", claims="${encoded}"`;
  const reply = toReply(new BrokerError('step-up-needed', 'Sign in with c1.', { acr: 'c1' }));
  return { ...reply, headers: { 'www-authenticate': header } };
}

/** Starts the command, and confirms each code that it shows as the next of these people. */
function runAs(people: readonly string[], ...args: readonly string[]): CliProcess {
  const run = cli.start(...args);
  const left = [...people];
  const confirmed = new Set<string>();
  run.child.stdin.end();
  run.child.stdout.resume();
  run.child.stderr.on('data', () => {
    for (const [, code = ''] of run.stderr().matchAll(/enter the code (\S+)\./g)) {
      if (confirmed.has(code)) continue;
      confirmed.add(code);
      const body = new URLSearchParams({ user_code: code, caller: left.shift() ?? 'nobody' });
      void fetch(issuer.deviceUrl, { method: 'POST', body });
    }
  });
  return run;
}

async function logIn(person: string): Promise<void> {
  expect(await runAs([person], 'login', '--broker', broker.url).ended).toBe(0);
}

/** Whether what came with a request for a session was good enough. */
function askedWith(): readonly boolean[] {
  return broker.seen
    .filter(({ method }) => method === 'PUT')
    .map(({ authorization = '' }) =>
      claimsShape.parse(decodeJwt(authorization.replace('Bearer ', ''))).acrs.includes('c1'),
    );
}

function countCodes(run: CliProcess): number {
  return run.stderr().match(/enter the code/g)?.length ?? 0;
}

describe('a stronger sign-in', () => {
  test('is asked for once, repeats the request, and is kept for the next', async () => {
    await logIn('ada');

    const first = runAs(['ada'], 'tunnel', 'vm-one', '--no-wait');
    await once(first.child.stdout, 'data');
    first.child.kill('SIGINT');
    const code = await first.ended;
    const second = runAs([], 'whoami');

    expect([code, await second.ended]).toEqual([0, 0]);
    expect(first.stderr()).toContain('asks for a stronger sign-in.');
    expect(askedWith()).toEqual([false, true]);
    expect([countCodes(first), countCodes(second)]).toEqual([1, 0]);
    const kept = readFileSync(join(folder, 'config', 'default.json'), 'utf8');
    expect(
      decodeJwt(z.object({ accessToken: z.string() }).parse(JSON.parse(kept)).accessToken),
    ).toMatchObject({ acrs: ['c1'], xms_cc: ['cp1'] });
  });

  // A broker that is never content must not keep a person signing in.
  test('is given up when it was not good enough', async () => {
    judge = challenge;
    await logIn('ada');

    const run = runAs(['ada', 'ada'], 'connect', 'vm-one');

    expect(await run.ended).toBe(3);
    expect(countCodes(run)).toBe(1);
    expect(run.stderr()).toContain('A stronger sign-in is needed');
  });

  test('of another person changes nothing', async () => {
    await logIn('ada');
    const before = readFileSync(join(folder, 'config', 'default.json'), 'utf8');

    const run = runAs(['grace'], 'connect', 'vm-one');

    expect(await run.ended).toBe(3);
    expect(readFileSync(join(folder, 'config', 'default.json'), 'utf8')).toBe(before);
    expect(askedWith()).toEqual([false]);
  });

  // The issuer that the broker names by now may be its own.
  test('goes to the issuer of the login, whatever the broker says by then', async () => {
    await logIn('ada');
    broker.issuer = 'https://thief.example';

    const run = runAs(['grace'], 'connect', 'vm-one');

    expect(await run.ended).toBe(3);
    expect(run.stderr()).toContain(`${issuer.url}/`);
    expect(run.stderr()).not.toContain('thief');
  });

  test('is given up on Ctrl-C', async () => {
    await logIn('ada');
    const run = cli.start('connect', 'vm-one');
    while (countCodes(run) === 0) await once(run.child.stderr, 'data');

    run.child.kill('SIGINT');

    expect(await run.ended).toBe(6);
    expect(run.stderr()).toContain('sallyport: Interrupted.\n');
  });

  test('is for people: a workload is told why it is refused', async () => {
    const secret = issuer.secrets['pipeline'] ?? '';
    const job = new Cli({
      SALLYPORT_CONFIG_DIR: join(folder, 'config'),
      SALLYPORT_CLIENT_ID: 'pipeline',
      SALLYPORT_CLIENT_SECRET: secret,
    });
    await job.run('login', '--client-credentials', '--broker', broker.url);

    const run = await job.run('connect', 'vm-one');

    // It does not announce that it answers challenges, and is sent none.
    expect(run.exitCode).toBe(4);
    expect(run.stderr).toContain('  needs: Sign in with the authentication context c1.\n');
    job.refuseLeaks([secret]);
  });

  test('cannot be given with a token of the environment', async () => {
    broker.intercept = ({ method }) => (method === 'PUT' ? challenge() : undefined);
    const job = new Cli({ SALLYPORT_BROKER: broker.url, SALLYPORT_TOKEN: 'token' });

    const run = await job.run('connect', 'vm-one');

    expect(run.exitCode).toBe(3);
    expect(run.stderr).toContain('only a person can give');
  });
});
