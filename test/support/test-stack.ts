import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openTable } from '../../lib/azure/table.ts';
import type { Table } from '../../lib/table.ts';
import type { Stack, StackOptions, StackTarget } from '../../local/stack.ts';
import { startStack } from '../../local/stack.ts';

/** A stack in a folder of its own, with every line that its programs wrote. */
export type TestStack = Stack & {
  readonly folder: string;
  readonly lines: readonly string[];
  readonly audit: Table;
  readonly state: Table;
  /** Calls the API of a broker as a demo caller, and returns status and body. */
  readonly call: (
    caller: string,
    method: string,
    path: string,
    body?: unknown,
  ) => Promise<{ readonly status: number; readonly body: unknown }>;
};

const policies = fileURLToPath(new URL('../data/policies', import.meta.url));

/** Starts a stack for a test; `close` removes its folder. Its policy lets operators use what is tagged `env=test`. */
export async function startTestStack(
  options: Omit<StackOptions, 'folder' | 'onLine'>,
): Promise<TestStack> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-'));
  const lines: string[] = [];
  const stack = await startStack({
    ...options,
    folder,
    brokerSettings: {
      SALLYPORT_POLICIES: policies,
      // Tests of other things ask faster than people do.
      SALLYPORT_REQUESTS_PER_CALLER_MINUTE: '60000',
      SALLYPORT_REQUESTS_PER_TARGET_MINUTE: '60000',
      ...options.brokerSettings,
    },
    onLine: (_program, line) => lines.push(line),
  });
  const open = (name: string): Table =>
    openTable({ url: new URL(stack.tables.url), name, createIfMissing: true });
  return {
    ...stack,
    folder,
    lines,
    audit: open('audit'),
    state: open('state'),
    call: async (caller, method, path, body) => {
      const url = path.startsWith('http') ? path : `${stack.url}${path}`;
      const answer = await fetch(url, {
        method,
        headers: {
          authorization: `Bearer ${await stack.getToken(caller)}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) };
    },
    close: async () => {
      await stack.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A target on loopback that the test policy allows. */
export function testTarget(
  name: string,
  port: number,
  protocol: 'ssh' | 'tcp' = 'ssh',
): StackTarget {
  const number = String(port).padStart(12, '0');
  return {
    id: `7a59e700-0000-4000-8000-${number}`,
    name,
    host: '127.0.0.1',
    os: 'linux',
    tags: { env: 'test' },
    services: [{ protocol, port }],
  };
}

/** An audit entry as it is stored: its body, with chain, sequence and hash. */
export type StoredEntry = {
  readonly type: string;
  readonly seq: number;
  readonly prev: string;
} & Readonly<Record<string, unknown>>;

/** Returns all audit entries of a stack's chains, in the order of each chain. */
export async function readAudit(audit: Table): Promise<readonly StoredEntry[]> {
  const days = [0, 1].map((day) => new Date(Date.now() - day * 86_400_000).toISOString());
  const registries = await Promise.all(
    days.map(async (day) => audit.list(`chains|${day.slice(0, 10).replaceAll('-', '')}`)),
  );
  const chains = registries.flat().map(({ row }) => row);
  const entries = await Promise.all(chains.map(async (chain) => audit.list(chain)));
  return entries.flat().map((row) => toEntry(JSON.parse(String(row.values['b']))));
}

function toEntry(value: unknown): StoredEntry {
  if (typeof value !== 'object' || value === null) throw new Error('an entry is not an object');
  const members: Record<string, unknown> = { ...value };
  return {
    ...members,
    type: String(members['type']),
    seq: Number(members['seq']),
    prev: String(members['prev']),
  };
}
