import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readPolicyFolder } from '../lib/file/policy-folder.ts';
import { checkIsolated } from '../lib/policy-isolation.ts';
import { countPolicies, type Finding, type PolicyFile } from '../lib/policy-scan.ts';
import { policySchema } from '../lib/policy-schema.ts';
import { type PolicyTests, runPolicyTests } from './policy-tests.ts';

const schemaName = 'sallyport.cedarschema';
const timeoutMilliseconds = 30_000;
const untested: PolicyTests = { cases: 0, findings: [], doubts: [] };

// Checks a folder of policies and runs its tests: `node cli/check-policies.ts [folder]`.
const folder = process.argv[2] ?? 'policies';
try {
  process.exitCode = await checkFolder(folder);
} catch (cause) {
  console.error(`${folder} cannot be read: ${String(cause)}`);
  process.exitCode = 1;
}

async function checkFolder(path: string): Promise<0 | 1> {
  const files = await readPolicyFolder(path);
  const faults = [...(await checkSchema(path)), ...(await checkFiles(files))];
  // A set that is not sound decides nothing.
  const tests = faults.length > 0 ? untested : await runPolicyTests(path, files);
  const findings = [...faults, ...tests.findings];
  for (const doubt of tests.doubts) console.error(`Denied in doubt: ${doubt}`);
  for (const { file, line, detail } of findings)
    console.error(`${join(path, file)}:${line}: ${detail}`);
  console.log(`${countPolicies(files)} policies, ${tests.cases} tests, ${findings.length} failed`);
  return findings.length === 0 ? 0 : 1;
}

async function checkFiles(files: readonly PolicyFile[]): Promise<readonly Finding[]> {
  if (files.length === 0)
    return [{ file: '', line: 1, detail: 'There is no .cedar file: nobody could connect.' }];
  const worker = new URL('../lib/policy-worker.ts', import.meta.url);
  return checkIsolated(files, { worker, signal: AbortSignal.timeout(timeoutMilliseconds) });
}

async function checkSchema(path: string): Promise<readonly Finding[]> {
  const text = await readFile(join(path, schemaName), 'utf8').catch(() => policySchema);
  if (text.replaceAll('\r\n', '\n') === policySchema) return [];
  const detail = 'This is a copy of lib/policy-schema.ts, which counts: put it back.';
  return [{ file: schemaName, line: 1, detail }];
}
