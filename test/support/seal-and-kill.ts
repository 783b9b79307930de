import { spawn } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { setTimeout as wait } from 'node:timers/promises';
import type { Receipt } from '../../lib/audit.ts';
import { toKid, toPublicJwk } from '../../lib/root-key.ts';
import type { Outcome } from './seal-under-faults.ts';
import { openLogSealer, openWriter, readOutcome, toEvent } from './seal-under-faults.ts';

const program = fileURLToPath(new URL('sealer-process.ts', import.meta.url));

/** What became of a log whose sealers were killed, and how often they were. */
export type KillOutcome = Outcome & { readonly kills: number };

/** Has a process write while sealer processes are killed at random, one after the other, and then one seal what is left. */
export async function sealAndKill(url: URL, name: string, kills: number): Promise<KillOutcome> {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const publicJwk = toPublicJwk(createPublicKey(pair.privateKey));
  const signWith = { key: pair.privateKey, dsaEncoding: 'ieee-p1363' } as const;
  const root = {
    kid: toKid(publicJwk),
    publicJwk,
    sign: async (data: Buffer) => sign('sha256', data, signWith),
  };
  const place = { url, name, root };
  const key = pair.privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64');
  const writer = openWriter(place);
  await writer.append([toEvent(0)]);
  await openLogSealer(place).seal();
  const receipts: Receipt[] = [];
  const writing = new AbortController();
  const write = async (): Promise<void> => {
    for (let number = 1; !writing.signal.aborted; number += 1) {
      receipts.push(...(await writer.append([toEvent(number)])));
      await wait(5);
    }
  };
  const written = write();
  let early = 0;
  let faults = 0;
  const note = (line: string): void => {
    if (line.includes('"checkpoint":')) early += 1;
    if (!line.includes('"faults":0')) faults += 1;
  };
  for (let kill = 0; kill < kills; kill += 1) await runAndKill([url.href, name, key], note);
  writing.abort();
  await written;
  await writer.close();
  faults += (await openLogSealer(place).seal()).faults;
  return { ...(await readOutcome(place, receipts)), early, faults, kills };
}

/** Runs a sealer for some runs and a random time, and kills it. Tells each line that it wrote. */
async function runAndKill(args: readonly string[], note: (line: string) => void): Promise<void> {
  const child = spawn(process.execPath, [program, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  child.stdout.on('data', (chunk: Buffer) =>
    chunk.toString().split('\n').filter(Boolean).forEach(note),
  );
  await Promise.race([once(child.stdout, 'data'), exited]);
  await wait(Math.random() * 300);
  child.kill('SIGKILL');
  await exited;
}
