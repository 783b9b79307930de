import { simulateAnswerShape } from '../../lib/simulate-view.ts';
import type { Context } from '../context.ts';
import { type ExitCode, exitCodes } from '../exit-code.ts';
import { openPolicyClient } from './policy-client.ts';
import { printFaulty, readPolicies } from './policy-files.ts';

/** Checks the policies of a folder at the broker. Returns the exit code: `usage` when there are findings. */
export async function checkPolicies(context: Context, folder: string): Promise<ExitCode> {
  const policies = await readPolicies(folder);
  const ask = await openPolicyClient(context);
  const answer = await ask('simulate', { policies }, simulateAnswerShape);
  if (answer.outcome === 'faulty') return printFaulty(context, answer.findings);
  if (context.settings.json) context.terminal.printJson({ outcome: 'sound', findings: [] });
  else context.terminal.print(`${policies.length} files, nothing to repair.`);
  return exitCodes.ok;
}
