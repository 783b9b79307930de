import { createHash, createPublicKey, verify } from 'node:crypto';
import * as z from 'zod';
import type { AuditEntryView } from '../../lib/audit-view.ts';
import { publicJwkShape } from '../../lib/root-key.ts';
import type { PublicJwk } from '../../lib/root-key.ts';

// Written from docs/audit-format.md and docs/audit.md, with nothing but the public root key.

const entryShape = z.object({
  chain: z.string(),
  seq: z.int(),
  b: z.string(),
  h: z.string(),
  s: z.string().exactOptional(),
});

const bodyShape = z.object({ chain: z.string(), seq: z.int(), prev: z.string().nullable() });

const checkpointShape = z.object({ b: z.string(), h: z.string(), s: z.string() });

const headsShape = z.object({
  n: z.int(),
  heads: z.array(z.object({ chain: z.string(), seq: z.int(), hash: z.string() })),
});

type Entry = z.infer<typeof entryShape>;

/** Fails unless the proofs, one or several that go on from each other, show the entry; returns what it is sealed by. */
export function verifyProof(views: readonly AuditEntryView[], root: PublicJwk): number | undefined {
  const [first] = views;
  const lines = views.flatMap(({ proof }, i) => proof?.entries.slice(i === 0 ? 0 : 1) ?? []);
  const entries = lines.map((line) => entryShape.parse(line));
  require(entries[0]?.h === first?.hash, 'the proof is of another entry');
  verifyEntries(entries, readKey(first?.proof?.chain, root));
  const checkpoint = views.at(-1)?.proof?.checkpoint;
  return checkpoint === undefined ? undefined : verifySeal(checkpoint, entries.at(-1), root);
}

function verifyEntries(entries: readonly Entry[], key: PublicJwk): void {
  for (const [i, { b, h, s, chain, seq }] of entries.entries()) {
    const body = bodyShape.parse(JSON.parse(b));
    const before = entries[i - 1]?.h ?? body.prev;
    require(hash('sallyport-audit-1\n', b) === h, `entry ${seq} has another hash`);
    require(body.chain === chain && body.seq === seq, `entry ${seq} is moved`);
    require(body.prev === before, `entry ${seq} does not follow`);
    require(s === undefined ||
      isSigned('sallyport-audit-1\n', { b, s }, key), `entry ${seq} is forged`);
  }
  require(entries.at(-1)?.s !== undefined, 'the last entry is not signed');
}

function verifySeal(checkpoint: unknown, last: Entry | undefined, root: PublicJwk): number {
  const { b, h, s } = checkpointShape.parse(checkpoint);
  require(hash('sallyport-checkpoint-1\n', b) === h, 'the checkpoint has another hash');
  require(isSigned('sallyport-checkpoint-1\n', { b, s }, root), 'the checkpoint is forged');
  const { n, heads } = headsShape.parse(JSON.parse(b));
  const isSealed = heads.some(
    (head) => head.chain === last?.chain && head.seq === last.seq && head.hash === last.h,
  );
  require(isSealed, 'the checkpoint seals something else');
  return n;
}

function readKey(line: unknown, root: PublicJwk): PublicJwk {
  const { key, endorsement } = z.object({ key: z.string(), endorsement: z.string() }).parse(line);
  const [header = '', payload = '', s = ''] = endorsement.split('.');
  require(isSigned('', { b: `${header}.${payload}`, s }, root), 'the endorsement is forged');
  const { jwk } = z
    .object({ jwk: publicJwkShape })
    .parse(JSON.parse(Buffer.from(payload, 'base64url').toString()));
  const announced = publicJwkShape.parse(JSON.parse(key));
  require(announced.x === jwk.x && announced.y === jwk.y, 'the endorsement is of another key');
  return jwk;
}

function hash(context: string, text: string): string {
  return createHash('sha256').update(context).update(text).digest('base64url');
}

function isSigned(
  context: string,
  { b, s }: { readonly b: string; readonly s: string },
  jwk: PublicJwk,
): boolean {
  const key = createPublicKey({ key: jwk, format: 'jwk' });
  const signature = Buffer.from(s, 'base64url');
  return verify('sha256', Buffer.from(context + b), { key, dsaEncoding: 'ieee-p1363' }, signature);
}

function require(isTrue: boolean, fault: string): void {
  if (!isTrue) throw new Error(fault);
}
