import { generateKeyPairSync } from 'node:crypto';
import type { Batch, Chain, ChainEvent } from '../../lib/audit-entry.ts';
import { composeBatch, toRegistryRow } from '../../lib/audit-entry.ts';
import { formatLine } from '../../lib/audit-export-line.ts';
import { toChainLine, toEntryLine } from '../../lib/audit-export-walk.ts';
import type { SignedCheckpoint } from '../../lib/checkpoint.ts';
import { signCheckpoint } from '../../lib/checkpoint.ts';
import { signEndorsement } from '../../lib/endorsement.ts';
import type { RootKey } from '../../lib/root-key.ts';
import { toKid, toPublicJwk } from '../../lib/root-key.ts';
import { endSession } from './audit-contract.ts';

const issuer = 'https://broker.test';
const day = '2026-03-02';
const start = Date.parse(`${day}T00:00:00Z`);
const batchEntries = 50;
const entriesPerCheckpoint = 1000;

/**
 * Makes the lines of an export with one chain of so many entries, as they are asked for: none is kept. A checkpoint seals
 * each thousand.
 */
export async function* makeLargeExport(
  root: RootKey,
  entries: number,
): AsyncGenerator<string, void> {
  const { chain, announcement } = await openChain(root);
  const header = { line: 'header', v: 1, issuer, from: day, to: day } as const;
  yield formatLine({ ...header, time: `${day}T23:59:59.000Z` });
  let checkpoints = 0;
  // The chain is made twice: its hashes, which checkpoints need first, are the same each time, and its signatures count.
  for await (const { checkpoint, body, hash, signature, kid } of makeCheckpoints(
    root,
    chain,
    entries,
  )) {
    checkpoints += 1;
    yield formatLine({ line: 'checkpoint', n: checkpoint.n, b: body, h: hash, s: signature, kid });
  }
  yield formatLine(toChainLine({ ...announcement, etag: '' }));
  for (const { rows } of makeBatches(chain, entries))
    for (const row of rows) yield formatLine(toEntryLine({ ...row, etag: '' }));
  yield formatLine({ line: 'end', entries, checkpoints, chains: 1 });
}

async function openChain(root: RootKey) {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = toPublicJwk(pair.publicKey);
  const from = new Date(start);
  const until = new Date(start + 86_400_000);
  const endorsement = await signEndorsement(root, { jwk, issuer }, from, until);
  const key = { kid: toKid(jwk), privateKey: pair.privateKey, endorsement };
  const chain: Chain = { id: '20260302-0123456789abcdef', key, sequence: 0, hash: null };
  const announcement = toRegistryRow(chain, jwk, { writer: 'writer-1', version: '1.0' });
  return { chain, announcement };
}

function* makeBatches(from: Chain, entries: number): Generator<Batch, void> {
  const opening: ChainEvent = {
    type: 'chain.opened',
    writer: 'writer-1',
    version: '1.0',
    policy: 'digest-1',
    after: null,
  };
  let chain = from;
  while (chain.sequence < entries) {
    const count = Math.min(batchEntries, entries - chain.sequence);
    const events = Array.from({ length: count }, (_, index) =>
      chain.sequence + index === 0 ? opening : endSession(`session ${chain.sequence + index}`),
    );
    const batch = composeBatch(chain, events, new Date(start + chain.sequence));
    yield batch;
    chain = batch.chain;
  }
}

async function* makeCheckpoints(
  root: RootKey,
  chain: Chain,
  entries: number,
): AsyncGenerator<SignedCheckpoint, void> {
  let last: SignedCheckpoint | undefined;
  for (const { chain: reached } of makeBatches(chain, entries)) {
    if (reached.sequence % entriesPerCheckpoint !== 0) continue;
    const { id, sequence, hash } = reached;
    last = await signCheckpoint(root, {
      v: 1,
      n: (last?.checkpoint.n ?? 0) + 1,
      time: new Date(start + sequence).toISOString(),
      issuer,
      prev: last?.hash ?? null,
      entries: sequence,
      heads: [{ chain: id, seq: sequence, hash: hash ?? '', closed: false }],
    });
    yield last;
  }
}
