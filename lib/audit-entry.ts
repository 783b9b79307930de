import { createHash, sign } from 'node:crypto';
import type { AuditEvent, Receipt } from './audit.ts';
import { splitParts } from './audit-parts.ts';
import { toCanonicalJson } from './canonical-json.ts';
import type { Row } from './table.ts';
import type { SigningKey } from './endorsement.ts';

/** The place of an entry: the last one of a chain, or the one that a chain begins after. */
export type Head = { readonly chain: string; readonly sequence: number; readonly hash: string };

/** What a chain says about itself, in its first and in its last entry. */
export type ChainEvent =
  | {
      readonly type: 'chain.opened';
      readonly writer: string;
      readonly version: string;
      /** The digest of the policy set in force. */
      readonly policy: string;
      /** The last entry of this writer's previous chain. */
      readonly after: Head | null;
    }
  | { readonly type: 'chain.closed' };

/** A chain as far as it is known to be stored. Nothing is stored of it yet when it has no hash. */
export type Chain = {
  readonly id: string;
  readonly key: SigningKey;
  readonly sequence: number;
  readonly hash: string | null;
};

/** Entries that are stored together, and the chain as it is once they are. */
export type Batch = {
  readonly rows: readonly Row[];
  readonly receipts: readonly Receipt[];
  readonly chain: Chain;
  readonly time: Date;
  /** Whether the chain ends here. */
  readonly isLast: boolean;
};

/** The version of the format of entries, which their hashes and signatures name. */
const formatVersion = 1;

// Keeps what is signed here from passing for anything else that the same key signs.
const context = `sallyport-audit-${formatVersion}\n`;

const maxEventLength = 120_000;

/** Returns how many bytes of a request an event takes up, or throws when no entry can hold it. */
export function measureEvent(event: AuditEvent): number {
  const text = toCanonicalJson(event);
  if (text.length > maxEventLength) throw new Error('an event is too large for an audit entry');
  // The text becomes a string in the JSON of a request, beside headers of its own.
  return Buffer.byteLength(JSON.stringify(text)) + 2048;
}

/**
 * Makes the next entries of a chain. Each holds the hash of the one before it, and the last is signed, so that one
 * signature vouches for all.
 */
export function composeBatch(
  chain: Chain,
  events: readonly (AuditEvent | ChainEvent)[],
  time: Date,
): Batch {
  const rows: Row[] = [];
  const receipts: Receipt[] = [];
  let { sequence, hash } = chain;
  for (const [index, event] of events.entries()) {
    sequence += 1;
    const place = { v: formatVersion, time: time.toISOString(), chain: chain.id, seq: sequence };
    const body = toCanonicalJson({ ...event, ...place, prev: hash });
    hash = hashBody(body);
    const isSigned = index === events.length - 1;
    const seal = isSigned ? { s: signBody(body, chain.key), kid: chain.key.kid } : {};
    const row = String(sequence).padStart(12, '0');
    rows.push({ partition: chain.id, row, values: { ...splitParts(body), h: hash, ...seal } });
    receipts.push({ chain: chain.id, sequence, hash });
  }
  const isLast = events.at(-1)?.type === 'chain.closed';
  return { rows, receipts, chain: { ...chain, sequence, hash }, time, isLast };
}

/** Returns the row that announces a chain, before its first entry. */
export function toRegistryRow(
  chain: Chain,
  jwk: object,
  facts: { readonly writer: string; readonly version: string },
): Row {
  const { writer, version } = facts;
  return {
    partition: `chains|${findDay(chain.id)}`,
    row: chain.id,
    values: { writer, version, key: toCanonicalJson(jwk), endorsement: chain.key.endorsement },
  };
}

/** Returns the id of a chain: its day (UTC) and 64 bits of the hash of a fresh id. */
export function toChainId(time: Date, id: string): string {
  return `${toDay(time)}-${createHash('sha256').update(id).digest('hex').slice(0, 16)}`;
}

/** Returns the day of a time (UTC) as `yyyymmdd`. */
export function toDay(time: Date): string {
  return time.toISOString().slice(0, 10).replaceAll('-', '');
}

/** Returns the day of a chain as `yyyymmdd`. */
export function findDay(chain: string): string {
  return chain.slice(0, 8);
}

function hashBody(body: string): string {
  return createHash('sha256').update(context).update(body).digest('base64url');
}

// ES256 signs the SHA-256 of the very bytes that `hashBody` hashes: the signature is one of the hash.
function signBody(body: string, { privateKey }: SigningKey): string {
  const key = { key: privateKey, dsaEncoding: 'ieee-p1363' } as const;
  return sign('sha256', Buffer.from(context + body), key).toString('base64url');
}
