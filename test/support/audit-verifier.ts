import { createHash, webcrypto } from 'node:crypto';
import * as z from 'zod';
import { verifyEndorsement } from '../../lib/endorsement.ts';
import type { PublicJwk, TrustedRoots } from '../../lib/root-key.ts';
import { publicJwkShape, toKid } from '../../lib/root-key.ts';
import type { Row, StoredRow } from '../../lib/table.ts';

// Written from docs/audit-format.md, and not from the code that writes chains.

/** The part of an entry's body that its place in the chain needs; the rest is what was recorded. */
const bodyShape = z.looseObject({
  v: z.literal(1),
  type: z.string(),
  time: z.iso.datetime({ precision: 3 }),
  chain: z.string().regex(/^\d{8}-[0-9a-f]{16}$/),
  seq: z.int().positive(),
  prev: z.string().nullable(),
});

const afterShape = z.object({ chain: z.string(), sequence: z.int(), hash: z.string() }).nullable();

type Entry = z.infer<typeof bodyShape> & { readonly hash: string };

export type Verified = {
  readonly entries: readonly Entry[];
  /** What is wrong, and where; empty when all chains are whole. */
  readonly faults: readonly string[];
};

/** Checks all chains among the rows of an audit table against the root keys, and returns their entries in order. */
export async function verifyChains(
  rows: readonly StoredRow[],
  roots: TrustedRoots,
): Promise<Verified> {
  const entries: Entry[] = [];
  const faults: string[] = [];
  for (const announcement of rows.filter(({ partition }) => partition.startsWith('chains|'))) {
    const chain = rows.filter(({ partition }) => partition === announcement.row);
    const found = await verifyChain(announcement, chain, roots);
    entries.push(...found.entries);
    faults.push(...found.faults);
  }
  const announced = new Set(rows.map(({ row }) => row));
  for (const { partition } of rows)
    if (!partition.startsWith('chains|') && !announced.has(partition))
      faults.push(`${partition} is not announced`);
  return { entries, faults: [...faults, ...findBrokenLinks(entries)] };
}

async function verifyChain(
  announcement: Row,
  rows: readonly Row[],
  roots: TrustedRoots,
): Promise<Verified> {
  const entries: Entry[] = [];
  const faults: string[] = [];
  const key = findKey(announcement, roots);
  if (key === undefined) return { entries, faults: [`${announcement.row} has no endorsed key`] };
  for (const [index, row] of rows.entries()) {
    const text = joinBody(row);
    const hash = createHash('sha256').update(`sallyport-audit-1\n${text}`).digest('base64url');
    const entry = { ...bodyShape.parse(JSON.parse(text)), hash };
    const isLast = index === rows.length - 1;
    const checks = {
      'is not in its place': row.row !== String(index + 1).padStart(12, '0'),
      'is moved': `${entry.chain}/${entry.seq}` !== `${announcement.row}/${index + 1}`,
      'does not follow': entry.prev !== (entries.at(-1)?.hash ?? null),
      'has another hash': row.values['h'] !== hash,
      'is not signed': (isLast || 's' in row.values) && !(await isSigned(text, row.values, key)),
      'opens a chain': (entry.type === 'chain.opened') !== (index === 0),
      'is not the end': entry.type === 'chain.closed' && !isLast,
      'is signed by an expired key': !key.coversTime(entry.time),
    };
    for (const [fault, isFound] of Object.entries(checks))
      if (isFound) faults.push(`${announcement.row}/${row.row} ${fault}`);
    entries.push(entry);
  }
  return { entries, faults };
}

function joinBody({ values }: Row): string {
  const parts = [values['b']];
  while (values[`b${parts.length}`] !== undefined) parts.push(values[`b${parts.length}`]);
  return parts.map(String).join('');
}

type ChainKey = {
  readonly kid: string;
  readonly jwk: PublicJwk;
  readonly coversTime: (time: string) => boolean;
};

function findKey({ values }: Row, roots: TrustedRoots): ChainKey | undefined {
  try {
    const jwk = publicJwkShape.parse(JSON.parse(String(values['key'])));
    const endorsement = String(values['endorsement']);
    const [, payload = ''] = endorsement.split('.');
    const { nbf } = z
      .object({ nbf: z.int() })
      .parse(JSON.parse(Buffer.from(payload, 'base64url').toString()));
    const { kid, expiresAt } = verifyEndorsement(endorsement, roots, new Date(nbf * 1000), 0);
    const coversTime = (time: string) =>
      nbf * 1000 <= Date.parse(time) && Date.parse(time) <= expiresAt.getTime();
    return kid === toKid(jwk) ? { jwk, kid, coversTime } : undefined;
  } catch {
    return undefined;
  }
}

async function isSigned(text: string, { s, kid }: Row['values'], key: ChainKey): Promise<boolean> {
  if (kid !== key.kid || typeof s !== 'string') return false;
  const { subtle } = webcrypto;
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const imported = await subtle.importKey('jwk', key.jwk, algorithm, false, ['verify']);
  const bytes = Buffer.from(`sallyport-audit-1\n${text}`);
  return subtle.verify(algorithm, imported, Buffer.from(s, 'base64url'), bytes);
}

// A chain names the last entry of the chain that its writer wrote before.
function findBrokenLinks(entries: readonly Entry[]): readonly string[] {
  return entries
    .filter(({ type }) => type === 'chain.opened')
    .flatMap(({ chain, ...rest }) => {
      const after = afterShape.parse(rest['after']);
      if (after === null) return [];
      const named = entries.find(
        (entry) => entry.chain === after.chain && entry.seq === after.sequence,
      );
      const isLast = !entries.some(
        (entry) => entry.chain === after.chain && entry.seq > after.sequence,
      );
      return named?.hash === after.hash && isLast
        ? []
        : [`${chain} does not follow ${after.chain}`];
    });
}
