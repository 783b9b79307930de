import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as z from 'zod';
import { pendingListShape } from '../../lib/approval-view.ts';
import { sessionViewShape } from '../../lib/session-view.ts';
import { approversGroup, operatorsGroup } from '../../local/demo-callers.ts';
import { runCli, startCli, toCliEnvironment } from '../support/cli.ts';
import type { EchoServer } from '../support/echo-server.ts';
import { startEchoServer } from '../support/echo-server.ts';
import { describeWith } from '../support/programs.ts';
import { startSshd } from '../support/sshd.ts';
import type { TestStack } from '../support/test-stack.ts';
import { readAudit, startTestStack, testTarget } from '../support/test-stack.ts';

const rules = `
@id("guarded")
@max_duration("30m")
@require_approval("${approversGroup}")
permit (principal in Group::"${operatorsGroup}", action in Action::"connect", resource)
when { resource.hasTag("env") && resource.getTag("env") == "guarded" };

@id("strong")
@require_acr("c1")
permit (principal in Group::"${operatorsGroup}", action in Action::"connect", resource)
when { resource.hasTag("env") && resource.getTag("env") == "strong" };
`;

const guarded = { tags: { env: 'guarded' } };
const strong = { tags: { env: 'strong' }, id: '7a59e700-0000-4000-8000-000000000001' };

let echo: EchoServer;
let stack: TestStack;
let policies: string | undefined;
/** How the commands name the echo server, as which nobody may reach it yet. */
let tcp: readonly string[];

/** Starts a stack with targets that need an approval. */
async function start(sshPort: number): Promise<void> {
  echo = await startEchoServer();
  tcp = [testTarget('echo', echo.port).id, '--protocol', 'tcp', '--port', String(echo.port)];
  policies = mkdtempSync(join(tmpdir(), 'sallyport-rules-'));
  writeFileSync(join(policies, 'approval.cedar'), rules);
  stack = await startTestStack({
    targets: [
      { ...testTarget('box', sshPort), ...guarded },
      { ...testTarget('echo', echo.port, 'tcp'), ...guarded },
      { ...testTarget('safe', echo.port, 'tcp'), ...strong },
    ],
    brokerSettings: { SALLYPORT_POLICIES: policies },
  });
}

afterAll(async () => {
  await stack?.close();
  await echo?.close();
  if (policies !== undefined) rmSync(policies, { recursive: true });
});

type Running = ReturnType<typeof startCli>;

async function startAs(caller: string, ...args: readonly string[]): Promise<Running> {
  return startCli(args, await toCliEnvironment(stack, caller));
}

/** Resolves when the command has said this on standard error. */
async function whenSaid(child: Running, pattern: RegExp): Promise<string> {
  const said: string[] = [];
  for await (const line of createInterface({ input: child.stderr })) {
    if (pattern.test(line)) return line;
    said.push(line);
  }
  throw new Error(`the command did not say ${String(pattern)} but ${said.join('\n')}`);
}

/** Returns the one request that grace may decide. */
async function findRequest(): Promise<string> {
  const { stdout } = await runCli(stack, 'grace', ['--json', 'requests']);
  const [request, ...others] = pendingListShape.shape.value.parse(JSON.parse(stdout));
  expect(others).toEqual([]);
  return request?.id ?? '';
}

async function exitCodeOf(child: Running): Promise<number | null> {
  return new Promise((resolve) => child.once('close', resolve));
}

describeWith(['sshd', 'ssh', 'ssh-keygen'], 'an approval by another person', () => {
  let sshOptions: readonly string[];
  let user: string;
  let sshPort: number;
  let sshdFolder: string;
  let closeSshd: () => Promise<void>;

  beforeAll(async () => {
    sshdFolder = `/tmp/sallyport-sshd-approval-${String(process.pid)}`;
    const sshd = await startSshd(sshdFolder);
    ({ user, port: sshPort, close: closeSshd } = sshd);
    await start(sshd.port);
    const knownHosts = join(stack.folder, 'known_hosts');
    writeFileSync(knownHosts, `${testTarget('box', sshd.port).id} ${sshd.hostKey}\n`);
    // A person's own limit for all hosts must not cut the wait for an approver short.
    const configuration = join(stack.folder, 'ssh_config');
    writeFileSync(configuration, 'Host *\n  ConnectTimeout 1\n');
    const settings = [`UserKnownHostsFile=${knownHosts}`, 'BatchMode=yes'];
    const options = settings.flatMap((setting) => ['-o', setting]);
    sshOptions = ['-F', configuration, '-i', sshd.keyFile, ...options];
  });

  afterAll(async () => {
    await closeSshd?.();
    rmSync(sshdFolder, { recursive: true, force: true });
  });

  test('lets ssh go through, and is in the audit log before the ticket', async () => {
    const box = testTarget('box', sshPort);
    const reason = ['--reason', 'the disk is full'];
    const place = [`${user}@${box.id}`, '--port', String(sshPort)];
    const words = ['ssh', ...place, ...reason, '--', ...sshOptions, 'echo hello; exit 3'];
    const ssh = await startAs('ada', ...words);
    const output = text(ssh.stdout);
    const code = exitCodeOf(ssh);
    ssh.stdin.end();
    await whenSaid(ssh, new RegExp(`^Waiting for approval by 1 of group ${approversGroup}`));
    const id = await findRequest();

    const own = await runCli(stack, 'ada', ['approve', id, '--yes']);
    const approval = await runCli(stack, 'grace', ['approve', id.slice(0, 8), '--yes']);

    expect(own.code).toBe(4);
    expect(approval).toMatchObject({ code: 0, stdout: `Request ${id} is approved.\n` });
    expect(approval.stderr).toContain('  reason  "the disk is full"\n');
    expect(await code).toBe(3);
    expect(await output).toBe('hello\n');
    const entries = await readAudit(stack.audit);
    const steps = entries.filter(({ session }) => session === id).map(({ type }) => type);
    expect(steps.indexOf('approval.decided')).toBeGreaterThan(0);
    expect(steps.indexOf('ticket.issued')).toBeGreaterThan(steps.indexOf('approval.decided'));
  });

  test('is refused with the words of the approver, and exits with 4', async () => {
    const connect = await startAs('ada', 'connect', ...tcp);
    const said = text(connect.stderr);
    const code = exitCodeOf(connect);
    connect.stdout.resume();
    const id = await waitForRequest();

    await runCli(stack, 'grace', ['deny', id, '--yes', '--note', 'Not today.']);

    expect(await code).toBe(4);
    expect(await said).toMatch(
      /The request was denied\.\n {2}Denied by "Grace Approver" \(\S+\): "Not today\."\n$/,
    );
    expect((await runCli(stack, 'grace', ['approve', id, '--yes'])).code).toBe(5);
  });

  test('is withdrawn by Ctrl-C', async () => {
    const connect = await startAs('ada', 'connect', ...tcp);
    connect.stdout.resume();
    const code = exitCodeOf(connect);
    await whenSaid(connect, /^Waiting for approval/);

    connect.kill('SIGINT');

    expect(await code).toBe(6);
    const { stdout } = await runCli(stack, 'grace', ['--json', 'requests']);
    expect(JSON.parse(stdout)).toEqual([]);
  });

  test('is asked for without waiting, and for more time without a new connection', async () => {
    const asked = await runCli(stack, 'ada', ['--json', 'tunnel', ...tcp, '--no-wait']);
    const { session } = z.object({ session: z.string() }).parse(JSON.parse(asked.stdout));
    await runCli(stack, 'grace', ['approve', session, '--yes', '--duration', '2m']);
    const tunnel = await startAs('ada', '--json', 'tunnel', 'echo', '--session', session);
    const [line] = z
      .tuple([z.string()])
      .parse(await once(createInterface({ input: tunnel.stdout }), 'line'));
    const { deadline } = z.object({ deadline: z.string() }).parse(JSON.parse(line));

    const extend = await startAs('ada', '--json', 'extend', session, '--duration', '20m');
    const extended = text(extend.stdout);
    await whenSaid(extend, /^Waiting for approval/);
    await runCli(stack, 'grace', ['approve', session, '--yes']);

    expect(asked.code).toBe(9);
    const view = sessionViewShape.parse(JSON.parse(await extended));
    expect(Date.parse(view.deadline) - Date.parse(deadline)).toBeGreaterThan(15 * 60_000);
    const closed = exitCodeOf(tunnel);
    tunnel.kill('SIGINT');
    expect(await closed).toBe(0);
    expect((await runCli(stack, 'ada', ['terminate', session])).code).toBe(0);
  });

  test('is not what a stronger sign-in takes: that is asked for and then enough', async () => {
    const { SALLYPORT_TOKEN: _, ...env } = await toCliEnvironment(stack, 'ada');
    const login = startCli(['login'], env);
    await confirm(login);
    const loggedIn = await exitCodeOf(login);

    const connect = startCli(['connect', strong.id, ...tcp.slice(1)], env);
    const output = text(connect.stdout);
    const code = exitCodeOf(connect);
    await confirm(connect);
    connect.stdin.end('hello');

    expect([loggedIn, await code]).toEqual([0, 0]);
    expect(await output).toBe('hello');
  });
});

/** Returns the request of a command whose standard error is read elsewhere. */
async function waitForRequest(): Promise<string> {
  for (;;) {
    const id = await findRequest();
    if (id !== '') return id;
  }
}

/** Confirms the code that the command shows as ada. */
async function confirm(child: Running): Promise<void> {
  const line = await whenSaid(child, /enter the code/);
  const code = /enter the code (?<code>\S+)\./.exec(line)?.groups?.['code'] ?? '';
  const body = new URLSearchParams({ user_code: code, caller: 'ada' });
  const answer = await fetch(stack.issuer.deviceUrl, { method: 'POST', body });
  expect(answer.status).toBe(200);
}
