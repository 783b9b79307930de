import { join } from 'node:path';
import { readCaseFolder } from '../lib/file/policy-folder.ts';
import { parseCases, runCase } from '../lib/policy-case.ts';
import { createPolicyEngine } from '../lib/policy-engine.ts';
import type { Finding, PolicyFile } from '../lib/policy-scan.ts';
import { loadPolicy } from '../lib/policy.ts';
import type { ShowProgress } from './commands/policy-progress.ts';

/** What the tests of a folder found. */
export type PolicyTests = {
  readonly cases: number;
  /** One for each case that is decided otherwise than it expects, with the path from the folder on. */
  readonly findings: readonly Finding[];
  /** Why decisions were denied because they were in doubt. */
  readonly doubts: readonly string[];
};

// Half a second of work: fewer are over before a bar has been read.
const manyCases = 500;

/** Runs `tests/*.json` of a folder against its files, which have been found sound. Fails when the folder cannot be read. */
export async function runPolicyTests(
  folder: string,
  files: readonly PolicyFile[],
  show: ShowProgress = () => undefined,
): Promise<PolicyTests> {
  const doubts = new Set<string>();
  const policy = loadPolicy(files, createPolicyEngine(), (_event, facts) => {
    doubts.add(String(facts?.['cause']));
  });
  const texts = await readCaseFolder(join(folder, 'tests'));
  const read = texts.map((file) => parseCases({ ...file, name: join('tests', file.name) }));
  const cases = read.flatMap((one) => one.cases.map((item) => ({ item, file: one.file })));
  const findings: Finding[] = read.flatMap((one) => one.findings);
  const isShown = manyCases <= cases.length;
  for (const [index, { item, file }] of cases.entries()) {
    if (isShown && index % 100 === 0) show(index / cases.length);
    findings.push(...runCase(policy, item, file));
  }
  show(undefined);
  return { cases: cases.length, findings, doubts: [...doubts] };
}
