import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DemoTarget } from './demo-target.ts';
import { startDemoTarget } from './demo-target.ts';
import type { StackTarget } from './stack.ts';

/** The demo target as the stack lists it, with what a client needs to log in. */
export type LocalTarget = DemoTarget & {
  readonly listed: StackTarget;
  /** The host key of this run, under the target's id. */
  readonly knownHosts: string;
  /** A configuration for `ssh -F` that names the key and the host key, and nothing of the user's own. */
  readonly sshConfig: string;
};

/** The id of the demo target, the same on every machine and in every run. */
export const targetId = 'de300000-0000-4000-8000-000000000001';

/** Starts the demo target and writes what OpenSSH needs to log in without a question. */
export async function startTarget(folder: string, port: number): Promise<LocalTarget> {
  const target = await startDemoTarget({ folder, port });
  const knownHosts = join(folder, 'known_hosts');
  const sshConfig = join(folder, 'ssh_config');
  writeFileSync(knownHosts, `${targetId} ${target.hostKey}\n`);
  writeFileSync(sshConfig, formatSshConfig({ keyFile: target.keyFile, knownHosts }));
  const listed: StackTarget = {
    id: targetId,
    name: 'demo',
    host: '127.0.0.1',
    os: process.platform === 'win32' ? 'windows' : 'linux',
    tags: { env: 'demo' },
    services: [{ protocol: 'ssh', port: target.port }],
  };
  return { ...target, listed, knownHosts, sshConfig };
}

function formatSshConfig(files: { readonly keyFile: string; readonly knownHosts: string }): string {
  // Quoted, because a data folder may have a space in its name; a percent sign begins a token.
  const quote = (path: string): string => `"${path.replaceAll('%', '%%')}"`;
  return [
    `IdentityFile ${quote(files.keyFile)}`,
    'IdentitiesOnly yes',
    `UserKnownHostsFile ${quote(files.knownHosts)}`,
    '',
  ].join('\n');
}
