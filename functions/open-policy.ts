import { fileURLToPath } from 'node:url';
import type { TokenCredential } from '@azure/identity';
import { openPolicyBlobs } from '../lib/azure/policy-blobs.ts';
import type { Config } from '../lib/config.ts';
import type { CurrentPolicy } from '../lib/current-policy.ts';
import { openCurrentPolicy, toFixedPolicy } from '../lib/current-policy.ts';
import { readPolicyFolder } from '../lib/file/policy-folder.ts';
import { createPolicyEngine } from '../lib/policy-engine.ts';
import { checkIsolated } from '../lib/policy-isolation.ts';
import type { PolicyRecord } from '../lib/policy-record.ts';
import type { PolicyFile } from '../lib/policy-scan.ts';
import { loadPolicy } from '../lib/policy.ts';
import { log } from './log.ts';

const checkMilliseconds = 20_000;

// Built, this script is in a folder beside that of the worker, which is a program of its own.
const worker = import.meta.url.endsWith('.js')
  ? new URL('../policy-worker/main.js', import.meta.url)
  : new URL('../lib/policy-worker.ts', import.meta.url);

/** Returns what opens the policy that the settings name, once there is an audit log. Files are loaded at once, and may fail. */
export async function openPolicy(
  { policies, policiesUrl: url }: Config,
  credential: TokenCredential,
  now: () => Date,
): Promise<(record: PolicyRecord) => CurrentPolicy> {
  const engine = createPolicyEngine();
  const load = (files: readonly PolicyFile[]) => loadPolicy(files, engine, log);
  if (url === undefined) {
    const folder = policies ?? fileURLToPath(new URL('../policies', import.meta.url));
    const current = toFixedPolicy(load(await readPolicyFolder(folder)));
    return () => current;
  }
  const source = openPolicyBlobs({ url, credential });
  const check = async (files: readonly PolicyFile[]) =>
    checkIsolated(files, { worker, signal: AbortSignal.timeout(checkMilliseconds) });
  return (record) => openCurrentPolicy({ ...record, source, check, load, now, log });
}
