import { writeFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { requireProgram } from '../support/programs.ts';
import type { Sshd } from '../support/sshd.ts';
import { startSshd } from '../support/sshd.ts';
import type { BenchStack } from './bench-stack.ts';
import type { Command } from './command.ts';
import { timeCommand } from './command.ts';
import type { Effort } from './effort.ts';
import type { Part } from './figure.ts';
import { toFigure } from './figure.ts';
import type { Steps } from './gateway-connection.ts';
import { connectDirectly, connectThroughGateway } from './gateway-connection.ts';

const cli = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** Measures the time from the wish for a session to the first bytes of the target, by each way there is. */
export async function measureConnecting(
  bench: BenchStack,
  effort: Effort,
): Promise<readonly Part[]> {
  return [await measureTunnels(bench, effort), await measureCommands(bench, effort)];
}

async function measureTunnels(bench: BenchStack, { connections }: Effort): Promise<Part> {
  const agent = new Agent({ keepAlive: true });
  const closers: (() => void)[] = [];
  const all: Steps[] = [];
  const direct: number[] = [];
  try {
    for (let i = 0; i < connections; i += 1) {
      direct.push(await connectDirectly(bench.wish.port));
      const token = bench.tokens[i % bench.tokens.length] ?? '';
      const { steps, close } = await connectThroughGateway(bench, agent, token);
      closers.push(close);
      all.push(steps);
    }
  } finally {
    for (const close of closers) close();
    agent.destroy();
  }
  const base = toFigure({ name: 'TCP, with nothing in between', unit: 'ms' }, direct);
  const toSteps = (key: keyof Steps, name: string) =>
    toFigure(
      { name, unit: 'ms' },
      all.map((steps) => steps[key]),
    );
  const total = { name: 'Sallyport', unit: 'ms', base };
  return {
    title: 'Connect: from the request for a session to the SSH banner of the target',
    figures: [
      base,
      toFigure(
        total,
        all.map((steps) => steps.total),
      ),
      toSteps('session', '- session request'),
      toSteps('secured', '- TCP and TLS to the gateway'),
      toSteps('upgraded', '- upgrade, with redemption and dial'),
      toSteps('banner', '- banner'),
    ],
    notes: [],
  };
}

async function measureCommands(bench: BenchStack, { commands }: Effort): Promise<Part> {
  const jump = await startJump(bench);
  const through: number[] = [];
  const jumped: number[] = [];
  for (let i = 0; i < commands; i += 1) {
    if (jump !== undefined) jumped.push(await timeCommand(jump));
    through.push(await timeCommand(toConnect(bench, bench.tokens[i] ?? '')));
  }
  return toCommandPart(through, jumped);
}

async function startJump(bench: BenchStack): Promise<Command | undefined> {
  if (!areInstalled(['sshd', 'ssh', 'ssh-keygen'])) return undefined;
  const sshd = await startSshd(join(bench.folder, 'sshd'));
  bench.closeLater(sshd.close);
  return toJump(bench, sshd);
}

function toCommandPart(through: readonly number[], jumped: readonly number[]): Part {
  const connect = { name: 'sallyport connect', unit: 'ms' };
  const title = 'Connect by a command: from its start to the SSH banner of the target';
  if (jumped.length === 0)
    return {
      title,
      figures: [toFigure(connect, through)],
      notes: ['Left out: ssh -W through a jump box; sshd, ssh or ssh-keygen is not installed.'],
    };
  const base = toFigure({ name: 'ssh -W through a jump box', unit: 'ms' }, jumped);
  return { title, figures: [base, toFigure({ ...connect, base }, through)], notes: [] };
}

function toConnect(bench: BenchStack, token: string): Command {
  const { target, port } = bench.wish;
  return {
    file: process.execPath,
    args: [cli, 'connect', target, '--port', String(port)],
    env: {
      SALLYPORT_BROKER: bench.url,
      SALLYPORT_CA: bench.caFile,
      SALLYPORT_CONFIG_DIR: join(bench.folder, 'cli'),
      SALLYPORT_TOKEN: token,
    },
  };
}

function toJump(bench: BenchStack, sshd: Sshd): Command {
  const knownHosts = join(bench.folder, 'known_hosts');
  writeFileSync(knownHosts, `[127.0.0.1]:${String(sshd.port)} ${sshd.hostKey}\n`);
  const options = [
    'BatchMode=yes',
    'IdentitiesOnly=yes',
    'StrictHostKeyChecking=yes',
    `UserKnownHostsFile=${knownHosts}`,
  ];
  return {
    file: requireProgram('ssh'),
    args: [
      '-F',
      'none',
      '-i',
      sshd.keyFile,
      '-p',
      String(sshd.port),
      ...options.flatMap((option) => ['-o', option]),
      '-W',
      `127.0.0.1:${String(bench.wish.port)}`,
      `${sshd.user}@127.0.0.1`,
    ],
  };
}

function areInstalled(programs: readonly string[]): boolean {
  try {
    programs.forEach(requireProgram);
    return true;
  } catch {
    return false;
  }
}
