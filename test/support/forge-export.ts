import type { KeyObject } from 'node:crypto';
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import type { Chain, ChainEvent } from '../../lib/audit-entry.ts';
import { composeBatch, toRegistryRow } from '../../lib/audit-entry.ts';
import type {
  ChainLine,
  CheckpointLine,
  EntryLine,
  ExportLine,
} from '../../lib/audit-export-line.ts';
import type { AuditFaultCode } from '../../lib/audit-verify-fault.ts';
import { checkpointShape, signCheckpoint } from '../../lib/checkpoint.ts';
import { signEndorsement } from '../../lib/endorsement.ts';
import type { RootKey } from '../../lib/root-key.ts';
import { toKid, toPublicJwk } from '../../lib/root-key.ts';
import { endSession } from './audit-contract.ts';
import { issuer } from './export-bench.ts';

/** The lines of an export. */
export type Lines = readonly ExportLine[];

type Change = (lines: Lines) => Lines;

/** What an attacker does to an export of `writeLog`, who may hold the storage and, in some, the root key as well. */
export type Attack = {
  readonly name: string;
  readonly code: AuditFaultCode;
  /** The chain (in the order of the file, from 1) and the entry, or the checkpoint, that must be named. */
  readonly at?: {
    readonly chain?: number;
    readonly sequence?: number;
    readonly checkpoint?: number;
  };
  readonly change: (lines: Lines, root: RootKey) => Lines | Promise<Lines>;
};

const foreign = generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** The public half of a key that nobody vouches for. */
export const foreignJwk = toPublicJwk(foreign.publicKey);

export function isOf(lines: Lines, chain: number, line: ExportLine): line is ChainLine | EntryLine {
  const chains = lines.filter((one) => one.line === 'chain');
  const id = chains[chain - 1]?.chain;
  return (line.line === 'chain' || line.line === 'entry') && line.chain === id;
}

function isEntry(lines: Lines, chain: number, line: ExportLine, seq: number): line is EntryLine {
  return line.line === 'entry' && isOf(lines, chain, line) && line.seq === seq;
}

export function isCheckpoint(line: ExportLine, n: number): line is CheckpointLine {
  return line.line === 'checkpoint' && line.n === n;
}

export function editEntry(
  chain: number,
  seq: number,
  change: (entry: EntryLine) => EntryLine,
): Change {
  return (lines) => lines.map((line) => (isEntry(lines, chain, line, seq) ? change(line) : line));
}

export function editChain(chain: number, change: (line: ChainLine) => ChainLine): Change {
  return (lines) =>
    lines.map((line) => (line.line === 'chain' && isOf(lines, chain, line) ? change(line) : line));
}

export function editCheckpoint(
  n: number,
  change: (line: CheckpointLine) => CheckpointLine,
): Change {
  return (lines) => lines.map((line) => (isCheckpoint(line, n) ? change(line) : line));
}

export function dropEntries(chain: number, from: number, to: number): Change {
  return (lines) =>
    lines.filter(
      (line) =>
        !(line.line === 'entry' && isOf(lines, chain, line) && from <= line.seq && line.seq <= to),
    );
}

export function dropChain(chain: number): Change {
  return (lines) => lines.filter((line) => !isOf(lines, chain, line));
}

export function dropCheckpoints(from: number, to: number): Change {
  return (lines) =>
    lines.filter((line) => !(line.line === 'checkpoint' && from <= line.n && line.n <= to));
}

export function swapEntries(chain: number, one: number, other: number): Change {
  return (lines) => {
    const find = (seq: number) => lines.find((line) => isEntry(lines, chain, line, seq));
    return lines.map((line) => {
      if (isEntry(lines, chain, line, one)) return find(other) ?? line;
      return isEntry(lines, chain, line, other) ? (find(one) ?? line) : line;
    });
  };
}

export function insertBehind(
  chain: number,
  seq: number,
  make: (entry: EntryLine) => EntryLine,
): Change {
  return (lines) =>
    lines.flatMap((line): Lines =>
      isEntry(lines, chain, line, seq) ? [line, make(line)] : [line],
    );
}

export function appendEntry(chain: number, seal: (entry: EntryLine) => EntryLine): Change {
  return (lines) => {
    const before = lines.findLast((line) => line.line === 'entry' && isOf(lines, chain, line));
    if (before?.line !== 'entry') return lines;
    const b = before.b
      .replace(`"seq":${before.seq}`, `"seq":${before.seq + 1}`)
      .replace(/"prev":"[^"]*"/, `"prev":"${before.h}"`);
    const entry = seal(rehash({ ...before, seq: before.seq + 1, b }));
    return lines.flatMap((line) => (line === before ? [line, entry] : [line]));
  };
}

export function relink(lines: Lines): Lines {
  let before = '';
  return lines.map((line) => {
    if (line.line !== 'entry') return line;
    const b = line.b.replace(/"prev":"[^"]*"/, `"prev":"${before}"`);
    const entry = rehash({ ...line, b });
    before = entry.h;
    return entry;
  });
}

export function lie(body: string): string {
  return body.replace('deadline', 'terminated');
}

export function rehash(entry: EntryLine): EntryLine {
  const hash = createHash('sha256').update(`sallyport-audit-1\n${entry.b}`);
  return { ...entry, h: hash.digest('base64url') };
}

export function unsign({ line, chain, seq, b, h }: EntryLine): EntryLine {
  return { line, chain, seq, b, h };
}

export function resign(entry: EntryLine): EntryLine {
  return { ...unsign(entry), s: signBytes(entry.b, foreign.privateKey), kid: toKid(foreignJwk) };
}

function signBytes(body: string, privateKey: KeyObject): string {
  const key = { key: privateKey, dsaEncoding: 'ieee-p1363' } as const;
  return sign('sha256', Buffer.from(`sallyport-audit-1\n${body}`), key).toString('base64url');
}

// A fork has its own time.
export function later(body: string): string {
  return body.replace(/(:\d\d)\.000Z/, '$1.001Z');
}

export async function replaceCheckpoint(
  lines: Lines,
  root: RootKey,
  n: number,
  change: (body: string) => string,
): Promise<Lines> {
  const line = lines.find((one) => isCheckpoint(one, n));
  if (line?.line !== 'checkpoint') return lines;
  const checkpoint = checkpointShape.parse(JSON.parse(change(line.b)));
  const { body, hash, signature, kid } = await signCheckpoint(root, checkpoint);
  return editCheckpoint(n, () => ({ line: 'checkpoint', n, b: body, h: hash, s: signature, kid }))(
    lines,
  );
}

/** Adds a chain whose key is endorsed for some seconds, and which is written five minutes later than that began. */
export async function addChain(lines: Lines, root: RootKey, seconds: number): Promise<Lines> {
  const from = new Date('2026-03-03T00:00:00Z');
  const until = new Date(from.getTime() + seconds * 1000);
  const endorsement = await signEndorsement(root, { jwk: foreignJwk, issuer }, from, until);
  const chain: Chain = {
    id: '20260303-ffffffffffffffff',
    key: { kid: toKid(foreignJwk), privateKey: foreign.privateKey, endorsement },
    sequence: 0,
    hash: null,
  };
  const facts = { writer: 'writer-3', version: '1.0' };
  const opening: ChainEvent = { type: 'chain.opened', ...facts, policy: 'digest-1', after: null };
  const { rows } = composeBatch(
    chain,
    [opening, endSession('m')],
    new Date(from.getTime() + 300_000),
  );
  const { writer, version, key } = toRegistryRow(chain, foreignJwk, facts).values;
  const entries = rows.map(({ values: { b, h, s, kid } }, index): EntryLine => ({
    line: 'entry',
    chain: chain.id,
    seq: index + 1,
    b: String(b),
    h: String(h),
    ...(s === undefined ? {} : { s: String(s) }),
    ...(kid === undefined ? {} : { kid: String(kid) }),
  }));
  const announced: ChainLine = {
    line: 'chain',
    chain: chain.id,
    writer: String(writer),
    version: String(version),
    key: String(key),
    endorsement,
  };
  return lines.flatMap((line): Lines =>
    line.line === 'end' ? [announced, ...entries, line] : [line],
  );
}
