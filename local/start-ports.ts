import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { choosePort } from './free-port.ts';

const portNames = ['broker', 'gateway', 'issuer', 'tables', 'target'] as const;
const port = z.int().min(1).max(65_535);
const portsShape = z.object({
  broker: port,
  gateway: port,
  issuer: port,
  tables: port,
  target: port,
});

/** The loopback ports of the local stack. */
export type Ports = Readonly<z.infer<typeof portsShape>>;

/**
 * Chooses the ports and remembers them in the folder: a login, a token and a block of `ssh_config` name them, and should
 * outlive a restart. Fails with a sentence when a wanted port is taken; a remembered one that is taken is replaced.
 */
export async function choosePorts(folder: string, wanted: Partial<Ports>): Promise<Ports> {
  const file = join(folder, 'ports.json');
  const last = readPorts(file);
  const chosen = new Map<keyof Ports, number>();
  for (const [name, given] of listWanted(wanted)) chosen.set(name, await choosePort(given));
  for (const name of portNames) {
    if (chosen.has(name)) continue;
    chosen.set(name, await chooseUnlike([...chosen.values()], last?.[name]));
  }
  const ports = portsShape.parse(Object.fromEntries(chosen));
  writeFileSync(file, `${JSON.stringify(ports, null, 2)}\n`, { mode: 0o600 });
  return ports;
}

function listWanted(wanted: Partial<Ports>): readonly (readonly [keyof Ports, number])[] {
  return portNames.flatMap((name) => {
    const given = wanted[name];
    return given === undefined ? [] : [[name, given] as const];
  });
}

// A free port is not reserved by the answer, so the next answer may be the same one.
async function chooseUnlike(taken: readonly number[], last: number | undefined): Promise<number> {
  const isFree = last !== undefined && !taken.includes(last);
  let next = isFree ? await choosePort(last).catch(() => undefined) : undefined;
  while (next === undefined || taken.includes(next)) next = await choosePort();
  return next;
}

function readPorts(file: string): Ports | undefined {
  try {
    return portsShape.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return undefined;
  }
}
