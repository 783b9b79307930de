import { createHash, webcrypto } from 'node:crypto';
import * as z from 'zod';
import type { PublicJwk } from '../../lib/root-key.ts';
import { toKid } from '../../lib/root-key.ts';
import type { Line, Of } from './export-text.ts';
import { isExact, listFaults, toDay } from './export-text.ts';

// Written from docs/audit-format.md, and not from the code that verifies checkpoints.

const headShape = z.object({
  chain: z.string(),
  seq: z.int(),
  hash: z.string(),
  closed: z.boolean(),
});

const checkpointShape = z.object({
  v: z.literal(1),
  n: z.int(),
  time: z.iso.datetime(),
  issuer: z.string(),
  prev: z.string().nullable(),
  entries: z.int(),
  heads: z.array(headShape),
  pruned: z.array(headShape).default([]),
});

type Head = z.infer<typeof headShape>;
type Sealed = { readonly n: number; readonly head: Head };
type Checkpoint = z.infer<typeof checkpointShape>;
type Link = { readonly line: Of<'checkpoint'>; readonly body: Checkpoint };

/** What is wrong with the checkpoints of an export, by steps 9 to 11 and 15. */
export async function findCheckpointFaults(
  lines: readonly Of<'checkpoint'>[],
  header: Of<'header'>,
  roots: readonly PublicJwk[],
): Promise<readonly string[]> {
  const links = lines.map((line) => ({ line, body: parse(line) }));
  const faults = await Promise.all(
    links.map(async ({ line, body }) =>
      listFaults(`checkpoint ${line.n}`, {
        'has another hash': toHash(line.b) !== line.h,
        'has another number': body.n !== line.n,
        'is not signed': !(await isSigned(line, roots)),
        'is of another broker': body.issuer !== header.issuer,
      }),
    ),
  );
  return [
    ...faults.flat(),
    ...links.flatMap((link, index) => findLinkFaults(links.slice(0, index), link)),
    ...links.slice(0, 1).flatMap((link) => findStartFaults(link, header)),
  ];
}

/** What is wrong between the checkpoints and the entries of an export, by step 12. */
export function findHeadFaults(
  lines: readonly Line[],
  { from, to }: Of<'header'>,
): readonly string[] {
  const bodies = lines.flatMap((line) => (line.line === 'checkpoint' ? [parse(line)] : []));
  const sealed = bodies.flatMap(({ n, heads }) => heads.map((head): Sealed => ({ n, head })));
  const chains = new Set(lines.flatMap((line) => (line.line === 'chain' ? [line.chain] : [])));
  const pruned = bodies.flatMap((body) => body.pruned.map(({ chain }) => chain));
  const isExpected = ({ chain }: Head): boolean =>
    from <= toDay(chain) && toDay(chain) <= to && (chains.has(chain) || !pruned.includes(chain));
  return sealed.flatMap(({ n, head }, index) => {
    const earlier = sealed.slice(0, index).findLast((one) => one.head.chain === head.chain)?.head;
    return listFaults(`${head.chain}/${head.seq} of checkpoint ${n}`, {
      'is not as sealed': isExpected(head) && !isThere(lines, head),
      'goes back': earlier !== undefined && (head.seq <= earlier.seq || earlier.closed),
    });
  });
}

const openingShape = z.object({
  type: z.literal('chain.opened'),
  after: z.object({ chain: z.string(), sequence: z.int(), hash: z.string() }),
});

/** What is wrong between the checkpoints and a chain of an earlier day that one in the file goes on from, by step 16. */
export function findEarlierFaults(
  lines: readonly Line[],
  { from }: Of<'header'>,
): readonly string[] {
  const heads = lines.flatMap((line) => (line.line === 'checkpoint' ? parse(line).heads : []));
  return lines.flatMap((line) => {
    const opening = line.line === 'entry' ? openingShape.safeParse(JSON.parse(line.b)).data : null;
    if (!opening || from <= toDay(opening.after.chain)) return [];
    const { chain, sequence, hash } = opening.after;
    const head = heads.findLast((one) => one.chain === chain);
    const isBeyond = head !== undefined && sequence < head.seq;
    const isOther = head?.seq === sequence && head.hash !== hash;
    return listFaults(chain, { 'does not end where another goes on': isBeyond || isOther });
  });
}

function isThere(lines: readonly Line[], { chain, seq, hash, closed }: Head): boolean {
  return lines.some(
    (line) =>
      line.line === 'entry' &&
      line.chain === chain &&
      line.seq === seq &&
      line.h === hash &&
      line.b.includes('"type":"chain.closed"') === closed,
  );
}

function findLinkFaults(before: readonly Link[], { line, body }: Link): readonly string[] {
  const { n, prev, time, entries, heads } = body;
  const last = before.at(-1);
  if (last === undefined) return [];
  const known = before.flatMap((link) => link.body.heads);
  const grown = heads.reduce(
    (sum, { chain, seq }) => sum + seq - (known.findLast((head) => head.chain === chain)?.seq ?? 0),
    0,
  );
  const isAll = before[0]?.body.n === 1;
  return listFaults(`checkpoint ${line.n}`, {
    'is not the next': n !== last.body.n + 1,
    'follows another one': prev !== last.line.h,
    'goes back': time < last.body.time || entries < last.body.entries,
    'counts wrongly': isAll && entries !== last.body.entries + grown,
  });
}

function findStartFaults({ body }: Link, { from }: Of<'header'>): readonly string[] {
  const { n, prev, time, entries, heads } = body;
  const isOldEnough = Date.parse(time) <= Date.parse(from) - 3_600_000;
  return listFaults(`checkpoint ${n}`, {
    'comes too late': n !== 1 && !isOldEnough,
    'follows another one': (n === 1) !== (prev === null),
    'counts wrongly': n === 1 && entries !== heads.reduce((sum, { seq }) => sum + seq, 0),
  });
}

function parse({ b }: Of<'checkpoint'>): Checkpoint {
  return checkpointShape.parse(JSON.parse(b));
}

async function isSigned(
  { b, s, kid }: Of<'checkpoint'>,
  roots: readonly PublicJwk[],
): Promise<boolean> {
  const root = roots.find((jwk) => toKid(jwk) === kid);
  if (root === undefined || !isExact(s) || !b.isWellFormed()) return false;
  const { subtle } = webcrypto;
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const imported = await subtle.importKey('jwk', root, algorithm, false, ['verify']);
  const bytes = Buffer.from(`sallyport-checkpoint-1\n${b}`);
  return subtle.verify(algorithm, imported, Buffer.from(s, 'base64url'), bytes);
}

function toHash(body: string): string {
  return createHash('sha256').update(`sallyport-checkpoint-1\n${body}`).digest('base64url');
}
