import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawn } from '@lydell/node-pty';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { simulateAnswerShape } from '../../lib/simulate-view.ts';
import { operatorsGroup } from '../../local/demo-callers.ts';
import { call } from '../support/call.ts';
import { cliScript, toCliEnvironment } from '../support/cli.ts';
import { collectLogLines } from '../support/log-lines.ts';
import { pastInputs, recordPast, toPastEvents } from '../support/past-decisions.ts';
import { decisionInput, loadPolicyText, team } from '../support/policies.ts';
import { ada, testBroker } from '../support/test-broker.ts';
import type { TestStack } from '../support/test-stack.ts';
import { readAudit, startTestStack } from '../support/test-stack.ts';

describe('POST /api/policy/simulate, with its threads', () => {
  collectLogLines();

  const path = '/api/policy/simulate';
  const broker = testBroker({
    policy: loadPolicyText(`@id("team") permit (principal in Group::"${team}", action, resource);`),
    identify: async () => ({ ...ada, roles: ['Policy.Read'] }),
  });
  const cases = [{ name: 'one', input: decisionInput() }];

  async function simulate(text: string) {
    const body = { policies: [{ name: 'a.cedar', text }], cases };
    const answer = await call(broker, 'POST', path, { token: 'ada', body });
    expect(answer.status).toBe(200);
    return simulateAnswerShape.parse(answer.body);
  }

  test('tells what flips, and who decides so', async () => {
    const text = '@id("rdp") permit (principal, action, resource) when { context.port == 3389 };';

    expect(await simulate(text)).toMatchObject({
      outcome: 'sound',
      counts: { decided: 1, allowToDeny: 1 },
      flips: [{ case: 'one', from: { policies: ['team'] }, to: { outcome: 'deny' } }],
    });
  });

  test('tells the findings of a set that has faults', async () => {
    const answer = await simulate('permit (principal, action, resource);');

    expect(answer).toMatchObject({ outcome: 'faulty', findings: [{ file: 'a.cedar', line: 1 }] });
  });

  // Cedar would trap on it, and trap on every call after that.
  test('refuses 200 nested parentheses, and the set in force decides on', async () => {
    const nested = `${'('.repeat(200)}true${')'.repeat(200)}`;

    const answer = await simulate(
      `@id("a") permit (principal, action, resource) when { ${nested} };`,
    );

    expect(JSON.stringify(answer)).toContain('split the policy');
    expect(broker.policy.decide(decisionInput()).outcome).toBe('allow');
  });
});

// Some ten seconds of two cores: several times that where others use them too.
describe('sallyport policy simulate on 10,000 past entries', { timeout: 240_000 }, () => {
  const count = 10_000;
  let stack: TestStack;
  let folder: string;

  beforeAll(async () => {
    stack = await startTestStack({ targets: [], gateways: 0 });
    folder = join(stack.folder, 'proposed');
    mkdirSync(folder);
    const { audit, state, url } = stack;
    const policy = loadPolicyText('@id("then") permit (principal, action, resource);');
    const inputs = pastInputs(count).map((input) => ({
      ...input,
      caller: { ...input.caller, groups: [operatorsGroup] },
      target: { ...input.target, tags: { env: 'test' } },
    }));
    const rootKeyFile = join(stack.folder, 'root-key.pem');
    const threeDaysAgo = new Date(Date.now() - 3 * 86_400_000);
    const tables = { audit, state, rootKeyFile, issuer: url };
    await recordPast(tables, toPastEvents(policy, inputs), threeDaysAgo);
  });

  afterAll(async () => stack?.close());

  /** Runs the command on a terminal of its own, and returns all that it wrote there. */
  async function runOnTerminal(...args: readonly string[]) {
    const env = await toCliEnvironment(stack, 'grace');
    const terminal = spawn(process.execPath, [cliScript, ...args], { cols: 200, rows: 50, env });
    let screen = '';
    terminal.onData((data) => {
      screen += data;
    });
    return new Promise<{ readonly exitCode: number; readonly screen: string }>((resolve) => {
      terminal.onExit(({ exitCode }) => resolve({ exitCode, screen }));
    });
  }

  test('moves a bar over the pages, counts every flip, and is recorded', async () => {
    const group = `principal in Group::"${operatorsGroup}"`;
    writeFileSync(
      join(folder, 'a.cedar'),
      `@id("ssh") permit (${group}, action, resource) when { context.port == 22 };`,
    );

    const { exitCode, screen } = await runOnTerminal('policy', 'simulate', folder);

    expect(screen).toContain(`${count} decided, ${count / 10} from allow to deny`);
    expect(exitCode).toBe(6);
    const shares = [...screen.matchAll(/\[#*\.*\] (\d+) %/g)].map(([, share]) => Number(share));
    expect(shares.length).toBeGreaterThan(5);
    expect(shares).toEqual(shares.toSorted((a, b) => a - b));
    expect(shares.at(-1)).toBe(100);
    const records = (await readAudit(stack.audit)).filter(
      ({ type }) => type === 'policy.simulated',
    );
    const decided = records.map((record) => Number(record['decided']));
    expect(decided.reduce((sum, number) => sum + number, 0)).toBe(count);
  });
});
