import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { logIn } from '../../cli/commands/login.ts';
import { createContext } from '../../cli/context.ts';
import type { Context } from '../../cli/context.ts';
import { createTerminal } from '../../cli/terminal.ts';
import { getStoredToken } from '../../cli/tokens/stored.ts';
import { BrokerError } from '../../lib/failure.ts';
import { Cli } from '../support/cli-process.ts';
import { startBroker, toReply } from '../support/stand-in-broker.ts';
import type { StandInBroker } from '../support/stand-in-broker.ts';
import { startIssuer } from '../support/stand-in-issuer.ts';
import type { StandInIssuer } from '../support/stand-in-issuer.ts';

const secret = `secret-${randomBytes(16).toString('hex')}`;

let folder: string;
let config: string;
let broker: StandInBroker;
let issuer: StandInIssuer;
let cli: Cli;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-cli-'));
  config = join(folder, 'config');
  issuer = await startIssuer();
  broker = await startBroker(() => 'wss://127.0.0.1:1/connect');
  broker.issuer = issuer.url;
  cli = new Cli({
    SALLYPORT_CONFIG_DIR: config,
    SALLYPORT_CLIENT_ID: 'ada',
    SALLYPORT_CLIENT_SECRET: secret,
  });
});

afterEach(async () => {
  cli.stop();
  await Promise.all([broker.close(), issuer.close()]);
  rmSync(folder, { recursive: true });
  cli.refuseLeaks([secret, 'device-code-secret', ...issuer.tokens]);
});

/** The tokens that the broker was called with. */
function seenTokens(): readonly string[] {
  return broker.seen.flatMap(({ authorization }) => authorization?.replace('Bearer ', '') ?? []);
}

describe('sallyport login', () => {
  test('signs a person in with a code, and sends the token from then on', async () => {
    const login = await cli.run('login', '--broker', broker.url);
    const whoami = await cli.run('whoami');

    expect(login).toMatchObject({ exitCode: 0 });
    expect(login.stderr).toBe(`Open ${issuer.url}/enter and enter WDJB-MJHT.\n`);
    expect(login.stdout).toContain('as Ada Operator (profile default)');
    expect(whoami).toMatchObject({ exitCode: 0, stderr: '' });
    expect(whoami.stdout).toContain('tenant.ada');
    const [first = '', second] = seenTokens();
    expect(issuer.tokens).toContain(first);
    expect(second).toBe(first);
  });

  test('gives scripts the code as an event', async () => {
    const login = await cli.run('login', '--broker', broker.url, '--json');

    const events = login.stdout.trim().split('\n');
    expect(JSON.parse(events[0] ?? '')).toMatchObject({ event: 'code', userCode: 'WDJB-MJHT' });
    expect(JSON.parse(events[1] ?? '')).toMatchObject({ event: 'signedIn', profile: 'default' });
  });

  test('keeps tokens where only their owner can read them, and refuses them where others can', async () => {
    await cli.run('login', '--client-credentials', '--broker', broker.url);
    const file = join(config, 'default.json');

    expect(readdirSync(config)).toEqual(['default.json']);
    expect(statSync(config).mode & 0o777).toBe(0o700);
    expect(statSync(file).mode & 0o777).toBe(0o600);

    chmodSync(file, 0o640);
    const refused = await cli.run('whoami');
    expect(refused.exitCode).toBe(3);
    expect(refused.stderr).toContain(`chmod 600 '${file}'`);
  });

  test('keeps the logins of two people apart by profile', async () => {
    const args = ['--client-credentials', '--broker', broker.url];
    await cli.run('login', ...args, '--profile', 'ada');
    await cli.run('login', ...args, '--profile', 'grace');
    await cli.run('whoami', '--profile', 'ada');
    await cli.run('whoami', '--profile', 'grace');

    const [ada, grace, adaAgain, graceAgain] = seenTokens();
    expect([adaAgain, graceAgain]).toEqual([ada, grace]);
    expect(ada).not.toBe(grace);
    expect((await cli.run('whoami')).exitCode).toBe(2);
  });

  test('forgets the login at logout', async () => {
    await cli.run('login', '--client-credentials', '--broker', broker.url);

    expect(await cli.run('logout')).toMatchObject({ exitCode: 0 });

    expect(readdirSync(config)).toEqual([]);
    expect(await cli.run('whoami', '--broker', broker.url)).toMatchObject({ exitCode: 3 });
  });

  test('keeps nothing when the broker refuses the token', async () => {
    broker.intercept = ({ path }) =>
      path === '/api/whoami'
        ? toReply(new BrokerError('token-invalid', 'Ask the operator.'))
        : undefined;

    const login = await cli.run('login', '--client-credentials', '--broker', broker.url);

    expect(login).toMatchObject({ exitCode: 3, stdout: '' });
    expect((await cli.run('whoami', '--broker', broker.url)).exitCode).toBe(3);
  });

  // A broker that somebody else runs must not be handed the token of ours.
  test('sends the token of a login to no other broker', async () => {
    await cli.run('login', '--client-credentials', '--broker', broker.url);
    const other = await startBroker(() => 'wss://127.0.0.1:1/connect');

    const run = await cli.run('whoami', '--broker', other.url);

    await other.close();
    expect(run.exitCode).toBe(3);
    expect(other.seen).toEqual([]);
  });

  test('follows the next page to no other host', async () => {
    await cli.run('login', '--client-credentials', '--broker', broker.url);
    const other = await startBroker(() => 'wss://127.0.0.1:1/connect');
    broker.intercept = ({ path }) =>
      path === '/api/targets'
        ? { status: 200, body: { value: [], nextLink: `${other.url}/api/targets` } }
        : undefined;

    const run = await cli.run('targets');

    await other.close();
    expect(run.exitCode).toBe(1);
    expect(other.seen).toEqual([]);
  });

  // The broker is not asked by whom it wants to be told the secret.
  test('sends no client secret to an issuer that only the broker names', async () => {
    broker.issuer = 'https://thief.example';

    const refused = await cli.run('login', '--client-credentials', '--broker', broker.url);
    const own = ['--issuer', issuer.url];
    const login = await cli.run('login', '--client-credentials', '--broker', broker.url, ...own);

    expect(refused.exitCode).toBe(3);
    expect(refused.stderr).toContain('--issuer');
    expect(login.exitCode).toBe(0);
  });

  test('uses whoever az is signed in as', async () => {
    const token = `az-${randomBytes(8).toString('hex')}`;
    const answer = JSON.stringify({ accessToken: token, expires_on: 4_000_000_000 });
    const az = join(folder, 'az');
    writeFileSync(az, `#!/bin/sh\necho "$@" > '${folder}/arguments'\necho '${answer}'\n`);
    chmodSync(az, 0o755);
    const path = `${folder}:${process.env['PATH']}`;
    const withAz = new Cli({ SALLYPORT_CONFIG_DIR: config, PATH: path });

    const login = await withAz.run('login', '--azure-cli', '--broker', broker.url);
    const whoami = await withAz.run('whoami');

    expect([login.exitCode, whoami.exitCode]).toEqual([0, 0]);
    expect(seenTokens()).toEqual([token, token]);
    expect(withAz.printed).not.toContain(token);
  });

  // A hostile broker would be sent what its user may do in Azure.
  test('asks az for a token for Azure itself only when the user says so', async () => {
    const az = join(folder, 'az');
    const answer = '{"accessToken":"az-token","expires_on":4000000000}';
    writeFileSync(az, `#!/bin/sh\necho "$@" >> '${folder}/arguments'\necho '${answer}'\n`);
    chmodSync(az, 0o755);
    broker.scope = 'https://management.azure.com/.default';
    const path = `${folder}:${process.env['PATH']}`;
    const withAz = new Cli({ SALLYPORT_CONFIG_DIR: config, PATH: path });
    const words = ['login', '--azure-cli', '--broker', broker.url];

    const refused = await withAz.run(...words);
    const own = await withAz.run(...words, '--audience', 'https://own.example');

    expect([refused.exitCode, own.exitCode]).toEqual([3, 0]);
    expect(readFileSync(join(folder, 'arguments'), 'utf8')).toBe(
      'account get-access-token --resource https://own.example --output json\n',
    );
  });
});

describe('logIn', () => {
  let now: Date;
  let waits: number[];
  let context: Context;

  beforeEach(() => {
    now = new Date('2025-11-24T12:00:00Z');
    waits = [];
    const sink = { write: (text: string) => (cli.printed += text) };
    const terminal = createTerminal(
      () => sink,
      () => sink,
    );
    const settings = {
      broker: new URL(`${broker.url}/`),
      folder: config,
      profile: 'p',
      json: false,
    };
    context = createContext(settings, terminal, {
      now: () => now,
      wait: async (milliseconds) => {
        waits.push(milliseconds);
        return Promise.resolve();
      },
    });
  });

  // RFC 8628, section 3.5.
  test('polls no faster than the issuer asks for, and slower for good after slow_down', async () => {
    issuer.pending = ['authorization_pending', 'slow_down', 'authorization_pending'];

    await logIn(context, {});

    expect(waits).toEqual([1000, 1000, 6000, 6000]);
    expect(await context.store.read('p')).toMatchObject({ kind: 'device' });
  });

  test('stops when the person declines', async () => {
    issuer.pending = ['authorization_pending', 'access_denied'];

    await expect(logIn(context, {})).rejects.toMatchObject({ exitCode: 3 });

    expect(await context.store.read('p')).toBeUndefined();
  });

  // A refresh token is good once, and an issuer revokes the login of whoever shows it twice.
  test('renews an expired token once for many who need it at the same time', async () => {
    await logIn(context, {});
    const before = await getStoredToken(context);
    now = new Date('2025-11-24T13:00:00Z');

    const tokens = await Promise.all(
      Array.from({ length: 5 }, async () => getStoredToken(context)),
    );

    expect(new Set(tokens).size).toBe(1);
    expect(tokens[0]).not.toBe(before);
    const refreshes = issuer.seen.filter(({ body }) => body.includes('grant_type=refresh_token'));
    expect(refreshes).toHaveLength(1);
    // A token that lost it would get an explanation in place of a claims challenge.
    for (const { body } of issuer.seen.filter(({ method }) => method === 'POST'))
      expect(new URLSearchParams(body).get('claims')).toContain('"xms_cc":{"values":["cp1"]}');
  });

  test('asks for a new login when the issuer takes the refresh token no more', async () => {
    await logIn(context, {});
    issuer.tokens.clear();
    now = new Date('2025-11-24T13:00:00Z');

    const renewal = getStoredToken(context);

    await expect(renewal).rejects.toThrow('Run sallyport login again.');
  });
});
