import { readFile, stat } from 'node:fs/promises';
import * as z from 'zod';
import { parseAddress } from '../address.ts';
import type { Log } from '../broker.ts';
import type { Target, TargetSource } from '../target.ts';
import { protocols } from '../target.ts';

const address = z.string().transform((text, context) => {
  const host = parseAddress(text);
  if (host !== undefined) return host;
  context.addIssue('Give a literal IPv4 or IPv6 address: no name, port, prefix or zone.');
  return z.NEVER;
});

const tags = z.record(z.string(), z.string()).transform((given, context) => {
  const entries = Object.entries(given).map(([name, text]) => [name.toLowerCase(), text] as const);
  if (new Set(entries.map(([name]) => name)).size < entries.length)
    context.addIssue('Two tags have names that differ only in case.');
  return Object.fromEntries(entries);
});

const targetShape = z.strictObject({
  id: z.guid().toLowerCase(),
  name: z
    .string()
    .max(200)
    .regex(/^[^\p{Cc}\p{Cs}]+$/u, 'Use plain text without control characters.'),
  host: address,
  os: z.enum(['linux', 'windows', 'unknown']).default('unknown'),
  tags: tags.default({}),
  services: z.array(
    z.strictObject({ protocol: z.enum(protocols), port: z.int().min(1).max(65_535) }),
  ),
  group: z
    .string()
    .regex(/^[\w.-]{1,90}$/, 'Use letters, digits, and any of . _ -')
    .toLowerCase()
    .default('default'),
});

const inventoryShape = z
  .strictObject({ targets: z.array(targetShape) })
  .superRefine(({ targets }, context) => {
    const seen = new Set<string>();
    for (const [at, { id }] of targets.entries()) {
      if (seen.has(id)) {
        const message = 'Another target has this id.';
        context.addIssue({ code: 'custom', path: ['targets', at, 'id'], message });
      }
      seen.add(id);
    }
  });

/** The targets of an inventory file, each with its canonical address. */
export type Inventory = ReadonlyMap<Target, string>;

/** Returns the targets in the text of an inventory file, or throws one error that names every fault by its place. */
export function parseInventory(text: string): Inventory {
  const parsed = inventoryShape.safeParse(JSON.parse(text));
  if (!parsed.success) throw new Error(parsed.error.issues.map(formatIssue).join('\n'));
  return new Map(
    parsed.data.targets.map(({ host, group, ...facts }) => [
      {
        ...facts,
        source: 'inventory',
        subscription: 'inventory',
        resourceGroup: group,
        power: 'running',
      },
      host,
    ]),
  );
}

/**
 * Opens an inventory file as a source of targets. Throws when it cannot be read or has a fault. Each later call looks
 * whether the file has changed; while a new version cannot be read or has a fault, that is logged and the last good
 * one stays in force.
 */
export async function readInventory(path: string, log: Log): Promise<TargetSource> {
  const file = await openFile(path, log);
  const hosts = new WeakMap<Target, string>();
  const list = async (): Promise<readonly Target[]> => {
    const inventory = await file();
    for (const [target, host] of inventory) hosts.set(target, host);
    return [...inventory.keys()];
  };
  return {
    find: async (reference) =>
      (await list()).find(({ id }) => reference.kind === 'id' && id === reference.id),
    findHost: async (target) => {
      const host = hosts.get(target);
      if (host === undefined) throw new Error('the target was not given by this source');
      return host;
    },
    list,
  };
}

/** Returns the call that gives the inventory as it is now. Callers that come together share one look at the file. */
async function openFile(path: string, log: Log): Promise<() => Promise<Inventory>> {
  let version = await readVersion(path);
  let inventory = parseFile(path, await readFile(path, 'utf8'));
  const refresh = async (): Promise<void> => {
    const found = await readVersion(path);
    if (found === version) return;
    version = unreadable;
    const text = await readFile(path, 'utf8');
    version = found;
    inventory = parseFile(path, text);
    log('inventory-read', { path, targets: inventory.size });
  };
  const reject = (error: unknown): void =>
    log('inventory-rejected', { path, reason: String(error) });
  let refreshing: Promise<void> | undefined;
  return async () => {
    refreshing ??= refresh()
      .catch(reject)
      .finally(() => (refreshing = undefined));
    await refreshing;
    return inventory;
  };
}

function parseFile(path: string, text: string): Inventory {
  try {
    return parseInventory(text);
  } catch (cause) {
    throw new Error(`${path} is not a valid inventory\n${String(cause)}`, { cause });
  }
}

const unreadable = 'unreadable';

// Read before the text, so that a change in between is seen at the next look.
async function readVersion(path: string): Promise<string> {
  try {
    const { mtimeNs, size, ino } = await stat(path, { bigint: true });
    return [mtimeNs, size, ino].join('-');
  } catch {
    return unreadable;
  }
}

function formatIssue({ path, message }: z.core.$ZodIssue): string {
  return `/${path.map(String).join('/')}: ${message}`;
}
