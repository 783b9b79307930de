import { join } from 'node:path';
import { checkPolicies } from '../../lib/policy-check.ts';
import { createPolicyEngine } from '../../lib/policy-engine.ts';
import type { Finding, PolicyFile } from '../../lib/policy-scan.ts';
import { CommandError } from '../command-error.ts';
import type { Context } from '../context.ts';
import { type ExitCode, exitCodes } from '../exit-code.ts';
import { type PolicyTests, runPolicyTests } from '../policy-tests.ts';
import { printFaulty, printFindings, readPolicies } from './policy-files.ts';
import type { ShowProgress } from './policy-progress.ts';

/**
 * Runs the tests of a folder against its policies, here and without a broker. Returns the exit code: `unexpected` when a
 * case is decided otherwise than it expects, `usage` when there are findings in the policies.
 */
export async function testPolicies(
  context: Context,
  folder: string,
  show: ShowProgress,
): Promise<ExitCode> {
  const { settings, terminal } = context;
  const files = await readPolicies(folder);
  const faults = findFaults(files);
  if (faults.length > 0) return printFaulty(context, locate(folder, faults));
  const { cases, doubts, ...found } = await runTests(folder, files, show);
  const findings = locate(folder, found.findings);
  for (const doubt of doubts) terminal.note(`Denied in doubt: ${doubt}`);
  const isPassed = findings.length === 0;
  if (settings.json)
    terminal.printJson({ outcome: isPassed ? 'passed' : 'failed', tests: cases, findings });
  else {
    printFindings(terminal, findings);
    terminal.print(`${cases} tests, ${findings.length} failed`);
  }
  return isPassed ? exitCodes.ok : exitCodes.unexpected;
}

/** Returns what is to be repaired in the files of a folder, read here and not at a broker. */
export function findFaults(files: readonly PolicyFile[]): readonly Finding[] {
  const engine = createPolicyEngine();
  requireEngine(engine);
  const check = checkPolicies(files, engine);
  return check.outcome === 'faulty' ? check.findings : [];
}

// The engine is a package beside the command, which a copied file leaves behind.
function requireEngine(engine: ReturnType<typeof createPolicyEngine>): void {
  try {
    engine.call(() => undefined);
  } catch (cause) {
    const sentence =
      'The policy engine is not here: run sallyport from its package, not from a copy.';
    throw new CommandError(exitCodes.usage, sentence, { cause });
  }
}

async function runTests(
  folder: string,
  files: readonly PolicyFile[],
  show: ShowProgress,
): Promise<PolicyTests> {
  try {
    return await runPolicyTests(folder, files, show);
  } catch (cause) {
    const sentence = `The folder '${join(folder, 'tests')}' cannot be read.`;
    throw new CommandError(exitCodes.usage, sentence, { cause });
  }
}

function locate(folder: string, findings: readonly Finding[]): readonly Finding[] {
  return findings.map((finding) => ({ ...finding, file: join(folder, finding.file) }));
}
