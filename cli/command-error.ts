import { describeNeed } from '../lib/need.ts';
import type { Problem } from '../lib/problem.ts';
import { exitCodes, findExitCode } from './exit-code.ts';
import type { ExitCode } from './exit-code.ts';

/** What a failure of the command may carry besides its sentence. */
export type CommandErrorDetails = {
  /** The code of the problem, where a broker or gateway gave one. */
  readonly code?: string;
  /** Lines below the sentence: advice of a policy, faults of a request. */
  readonly notes?: readonly string[];
  /** How long to wait before it is tried again, where the other side says so. */
  readonly retryAfterSeconds?: number;
  readonly cause?: unknown;
};

/** A failure that the user may read: one sentence that says what to do, and the exit code of the command. */
export class CommandError extends Error {
  override readonly name: string = 'CommandError';
  readonly exitCode: ExitCode;
  readonly code: string | undefined;
  readonly notes: readonly string[];
  readonly retryAfterSeconds: number | undefined;

  constructor(exitCode: ExitCode, message: string, details: CommandErrorDetails = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined);
    this.exitCode = exitCode;
    this.code = details.code;
    this.notes = details.notes ?? [];
    this.retryAfterSeconds = details.retryAfterSeconds;
  }
}

/** A broker, gateway or issuer that did not answer: nothing is known about what it did. */
export class UnreachableError extends CommandError {
  override readonly name = 'UnreachableError';

  constructor(message: string, cause?: unknown) {
    super(exitCodes.unavailable, message, { cause });
  }
}

/** Returns the failure that a problem of the broker or the gateway is for the user, with its advice and faults. */
export function toCommandError(
  problem: Problem,
  details: Pick<CommandErrorDetails, 'retryAfterSeconds'> = {},
): CommandError {
  const { code, detail, title, status } = problem;
  const needs = (problem.needs ?? []).map((need) => `needs: ${describeNeed(need)}`);
  const advice = (problem.advice ?? []).map((line) => `advice: ${line}`);
  const faults = (problem.faults ?? []).map((fault) => `${fault.pointer}: ${fault.detail}`);
  const request = status >= 500 && problem.requestId !== undefined ? [problem.requestId] : [];
  const notes = [...needs, ...advice, ...faults, ...request.map((id) => `request: ${id}`)];
  return new CommandError(findExitCode(problem), `${title}: ${detail}`, {
    code,
    notes,
    ...details,
  });
}
