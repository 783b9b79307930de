import { createPublicKey, sign, verify } from 'node:crypto';
import type { DecisionInput, Policy } from '../../lib/decision.ts';
import type { Permission } from '../../lib/ticket.ts';
import { signTicket, ticketSeconds, verifyTicket } from '../../lib/ticket.ts';
import { decisionInput, loadPolicyText } from '../support/policies.ts';
import { testKeys } from '../support/test-broker.ts';
import type { Effort } from './effort.ts';
import type { Figure, Part } from './figure.ts';
import { toFigure } from './figure.ts';

/** A call whose cost is measured. It throws when it did not do its work. */
type Call = {
  readonly name: string;
  readonly run: () => void;
  /** The name of an earlier call to compare it with. */
  readonly base?: string;
};

const broker = 'https://broker.test';
const gateway = 'bench';

/** Measures what a decision costs with small and large policy sets, and what a ticket costs. */
export async function measureDeciding(effort: Effort): Promise<readonly Part[]> {
  const decisions = [30, 300].map(prepareDecision);
  const tickets = await prepareTickets();
  return [
    measureCalls('Decisions, in this process', decisions, effort),
    measureCalls('Tickets, in this process', tickets, effort),
  ];
}

// In turns, so that whatever else the machine does falls on all alike.
function measureCalls(title: string, calls: readonly Call[], effort: Effort): Part {
  for (const call of calls) timeBatch(call, effort.calls);
  const samples = calls.map((): number[] => []);
  for (let batch = 0; batch < effort.batches; batch += 1)
    for (const [i, call] of calls.entries()) samples[i]?.push(timeBatch(call, effort.calls));
  const figures: Figure[] = [];
  for (const [i, { name, base }] of calls.entries()) {
    const found = figures.find((figure) => figure.name === base);
    const measured = { name, unit: 'µs', ...(found === undefined ? {} : { base: found }) };
    figures.push(toFigure(measured, samples[i] ?? []));
  }
  const notes = [`Each sample is the mean of ${String(effort.calls)} calls.`];
  return { title, figures, notes };
}

/** Returns the microseconds of a call, as the mean of a batch. */
function timeBatch({ run }: Call, calls: number): number {
  const startedAt = performance.now();
  for (let i = 0; i < calls; i += 1) run();
  return ((performance.now() - startedAt) / calls) * 1000;
}

function prepareDecision(count: number): Call {
  const policy = loadPolicyText(writePolicies(count));
  const number = count >> 1;
  const input = decisionInput({
    caller: { groups: [toGroup(number)] },
    target: { tags: { env: toEnvironment(number) } },
  });
  const id = toPolicyId(number);
  return {
    name: `decision by ${String(count)} policies`,
    base: 'decision by 30 policies',
    run: () => checkDecision(policy, input, id),
  };
}

function checkDecision(policy: Policy, input: DecisionInput, id: string): void {
  const { outcome, policies } = policy.decide(input);
  if (outcome !== 'allow' || policies.join() !== id)
    throw new Error(`${id} did not decide: ${outcome} by ${policies.join()}`);
}

// One team and one environment for each, and a guard among every ten, as a grown set has them.
function writePolicies(count: number): string {
  return Array.from({ length: count }, (_, number) =>
    number % 10 === 9 ? writeGuard(number) : writePermit(number),
  ).join('\n');
}

function writePermit(number: number): string {
  return `@id("${toPolicyId(number)}") @max_duration("1h")
permit (principal in Group::"${toGroup(number)}", action in Action::"connect", resource)
when { resource.hasTag("env") && resource.getTag("env") == "${toEnvironment(number)}" };`;
}

function writeGuard(number: number): string {
  return `@id("${toPolicyId(number)}") @advice("Ask its owner.")
forbid (principal, action in Action::"connect", resource)
when { resource.hasTag("lock") && resource.getTag("lock") == "${toEnvironment(number)}" };`;
}

function toPolicyId(number: number): string {
  return `bench-${String(number)}`;
}

function toEnvironment(number: number): string {
  return `team-${String(number)}`;
}

function toGroup(number: number): string {
  return `be4c0000-0000-4000-8000-${String(number).padStart(12, '0')}`;
}

async function prepareTickets(): Promise<readonly Call[]> {
  const now = new Date();
  const keys = testKeys(() => now, broker);
  const key = await keys.current();
  const permission = toPermission(now);
  const ticket = signTicket(permission, broker, key);
  const verifier = { roots: keys.roots, issuer: broker, gateway };
  const data = Buffer.from(ticket);
  const signature = sign('sha256', data, key.privateKey);
  const publicKey = createPublicKey(key.privateKey);
  const bare = { sign: 'ECDSA P-256 alone: sign', verify: 'ECDSA P-256 alone: verify' };
  return [
    { name: bare.sign, run: () => void sign('sha256', data, key.privateKey) },
    {
      name: 'sign a ticket',
      base: bare.sign,
      run: () => void signTicket(permission, broker, key),
    },
    {
      name: bare.verify,
      run: () => {
        if (!verify('sha256', data, publicKey, signature)) throw new Error('not verified');
      },
    },
    {
      name: 'verify a ticket and its endorsement',
      base: bare.verify,
      run: () => {
        const found = verifyTicket(ticket, verifier, now).permission;
        if (found.ticket !== permission.ticket) throw new Error('another ticket was read');
      },
    },
  ];
}

function toPermission(now: Date): Permission {
  return {
    ticket: '7c4e7000-0000-4000-8000-000000000001',
    session: '5e551000-0000-4000-8000-000000000001',
    caller: '0a000000-0000-4000-8000-00000000000a.0b000000-0000-4000-8000-00000000000b',
    gateway,
    target: '0e000000-0000-4000-8000-00000000000e',
    protocol: 'ssh',
    host: '10.0.0.4',
    port: 22,
    deadline: new Date(now.getTime() + 3_600_000),
    terms: { maxDurationSeconds: 3600 },
    policy: 'be4c'.repeat(11),
    issuedAt: now,
    expiresAt: new Date(now.getTime() + ticketSeconds * 1000),
  };
}
