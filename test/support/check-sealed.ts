import { createHash, createPublicKey, verify } from 'node:crypto';
import type { Checkpoint } from '../../lib/checkpoint.ts';
import { toCheckpoint } from '../../lib/checkpoint.ts';
import type { PublicJwk } from '../../lib/root-key.ts';
import { toTrustedRoots } from '../../lib/root-key.ts';
import type { StoredRow } from '../../lib/table.ts';
import { verifyChains } from './audit-verifier.ts';

export type Checked = {
  readonly checkpoints: number;
  /** Entries that a checkpoint has sealed, and those that none has. */
  readonly sealed: number;
  readonly unsealed: number;
};

type Entries = ReadonlyMap<string, { readonly hash: string; readonly type: string }>;

/** Fails unless chains and checkpoints among the rows of an audit table are whole and fit each other, and counts. */
export async function checkSealed(rows: readonly StoredRow[], jwk: PublicJwk): Promise<Checked> {
  const log = rows.filter(({ partition }) => partition === 'cp');
  const chains = rows.filter(({ partition }) => partition !== 'cp');
  const { entries, faults } = await verifyChains(chains, toTrustedRoots([jwk]));
  const byPlace = new Map(entries.map((entry) => [`${entry.chain}/${entry.seq}`, entry]));
  const found = [...faults];
  const heads = new Map<string, number>();
  let prev: string | null = null;
  let sealed = 0;
  for (const [i, row] of log.entries()) {
    const { checkpoint, body, hash, signature } = toCheckpoint(row);
    sealed += addHeads(checkpoint, heads, byPlace, found);
    const bytes = Buffer.from(`sallyport-checkpoint-1\n${body}`);
    const checks = {
      'is not in its place': checkpoint.n !== i + 1 || Number(row.row) !== i + 1,
      'does not follow': checkpoint.prev !== prev,
      'has not counted right': checkpoint.entries !== sealed,
      'has another hash': createHash('sha256').update(bytes).digest('base64url') !== hash,
      'is not signed': !isSigned(bytes, signature, jwk),
    };
    for (const [fault, isFound] of Object.entries(checks))
      if (isFound) found.push(`checkpoint ${i + 1} ${fault}`);
    prev = hash;
  }
  if (found.length > 0) throw new Error(found.join('\n'));
  return { checkpoints: log.length, sealed, unsealed: entries.length - sealed };
}

function addHeads(
  { n, heads: added }: Checkpoint,
  heads: Map<string, number>,
  entries: Entries,
  faults: string[],
): number {
  let growth = 0;
  for (const { chain, seq, hash, closed } of added) {
    const before = heads.get(chain) ?? 0;
    const entry = entries.get(`${chain}/${seq}`);
    if (seq <= before) faults.push(`checkpoint ${n} seals ${chain}/${seq} again`);
    if (entry?.hash !== hash) faults.push(`checkpoint ${n} seals another ${chain}/${seq}`);
    if ((entry?.type === 'chain.closed') !== closed)
      faults.push(`checkpoint ${n} errs about the end of ${chain}`);
    heads.set(chain, seq);
    growth += seq - before;
  }
  return growth;
}

function isSigned(bytes: Buffer, signature: string, jwk: PublicJwk): boolean {
  const key = createPublicKey({ key: jwk, format: 'jwk' });
  const raw = Buffer.from(signature, 'base64url');
  return verify('sha256', bytes, { key, dsaEncoding: 'ieee-p1363' }, raw);
}
