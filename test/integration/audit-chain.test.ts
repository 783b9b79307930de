import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openAudit } from '../../lib/audit-chain.ts';
import type { Receipt } from '../../lib/audit.ts';
import { openTable } from '../../lib/azure/table.ts';
import { toTrustedRoots } from '../../lib/root-key.ts';
import type { StoredRow, Table } from '../../lib/table.ts';
import type { Tables } from '../../local/azurite.ts';
import { startTables } from '../../local/azurite.ts';
import { describeAudit, endSession } from '../support/audit-contract.ts';
import { verifyChains } from '../support/audit-verifier.ts';
import type { WireFault } from '../support/fault-proxy.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { testKeys, testRoot } from '../support/test-broker.ts';

const root = testRoot();
const roots = toTrustedRoots([root.publicJwk]);
const now = (): Date => new Date();

let folder: string;
let tables: Tables;
let opened = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sallyport-audit-'));
  tables = await startTables({ folder, port: 0 });
});

afterAll(async () => {
  await tables.close();
  await rm(folder, { recursive: true });
});

describeAudit('openAudit, over a real table,', async () => {
  const name = `contract${opened++}`;
  const audit = openWriter(openNamed(name, tables.url));
  return {
    audit,
    read: async () =>
      (await verifyChains(await readAll(openNamed(name, tables.url)), roots)).entries,
  };
});

describe.each([7, 29, 59])('with %i of 100 calls failing', (percent) => {
  test('four writers lose no acknowledged event, store none twice, and break no chain', async () => {
    const findFault = drawFaults(percent);
    const proxy = await startFaultProxy(new URL(tables.url), findFault);
    const name = `faults${percent}`;
    const writers = Array.from({ length: 4 }, () => openWriter(openNamed(name, proxy.url.href)));
    const receipts: (Receipt & { readonly session: string })[] = [];
    let refused = 0;
    const record = async (session: string, writer: number): Promise<void> => {
      try {
        const [receipt] = (await writers[writer]?.append([endSession(session)])) ?? [];
        if (receipt !== undefined) receipts.push({ ...receipt, session });
      } catch {
        refused += 1;
      }
    };

    // Each writer is used by five at once, again and again.
    const users = Array.from({ length: 20 }, async (_, user) => {
      for (let turn = 0; turn < 10; turn += 1) await record(`${user}.${turn}`, user % 4);
    });
    await Promise.all(users);
    await Promise.all(writers.map(async (writer) => writer.close()));
    await proxy.close();

    const { entries, faults } = await verifyChains(
      await readAll(openNamed(name, tables.url)),
      roots,
    );
    expect(faults).toEqual([]);
    expect(receipts.length + refused).toBe(200);
    const places = new Map(
      entries.map(({ session, chain, seq, hash }) => [session, { chain, sequence: seq, hash }]),
    );
    expect(receipts.map(({ session }) => places.get(session))).toEqual(
      receipts.map(({ chain, sequence, hash }) => ({ chain, sequence, hash })),
    );
    const sessions = entries.flatMap(({ session }) => session ?? []);
    expect(new Set(sessions).size).toBe(sessions.length);
    console.log(
      percent,
      receipts.length,
      refused,
      entries.length,
      new Set(entries.map((e) => e.chain)).size,
    );
  });
});

function openNamed(name: string, url: string): Table {
  return openTable({ url: new URL(url), name, createIfMissing: true });
}

function openWriter(table: Table) {
  return openAudit({
    table,
    keys: testKeys(now, 'https://broker.test', root),
    writer: crypto.randomUUID(),
    version: '1.0',
    policyDigest: () => 'digest',
    now,
    newId: () => crypto.randomUUID(),
    log: () => undefined,
  });
}

async function readAll(table: Table): Promise<readonly StoredRow[]> {
  const days = [now(), new Date(now().getTime() - 60_000)].map((time) =>
    time.toISOString().slice(0, 10),
  );
  const announced: StoredRow[] = [];
  for (const day of new Set(days))
    announced.push(...(await table.list(`chains|${day.replaceAll('-', '')}`)));
  const chains = await Promise.all(announced.map(async ({ row }) => table.list(row)));
  return [...announced, ...chains.flat()];
}

/** Draws faults at a rate, the same ones each time. A call that hangs costs two seconds, so those are few. */
function drawFaults(percent: number): () => WireFault | undefined {
  const faults = ['request-lost', 'answer-lost', 'answer-halved', 500, 503] as const;
  let state = percent;
  let calls = 0;
  return () => {
    calls += 1;
    // A linear congruential generator: chance that can be repeated.
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    const draw = Math.floor(state / 65_536);
    if (draw % 100 >= percent) return undefined;
    return calls % 50 === 0 ? 'answer-hangs' : faults[draw % faults.length];
  };
}
