import type { KeyObject } from 'node:crypto';
import { createHash, verify } from 'node:crypto';
import * as z from 'zod';
import { isBase64url } from './base64url.ts';
import { parseJson } from './json.ts';

/** An entry as it is stored, unverified. */
export type StoredEntry = {
  readonly chain: string;
  readonly sequence: number;
  readonly body: string;
  readonly hash: string;
  /** On the last entry of a batch. */
  readonly signature?: string;
  readonly kid?: string;
};

const headShape = z.object({
  chain: z.string(),
  sequence: z.int().positive(),
  hash: z.string(),
});

const bodyShape = z.object({
  v: z.literal(1),
  type: z.string(),
  time: z.iso.datetime({ precision: 3 }),
  chain: z.string(),
  seq: z.int().positive(),
  prev: z.string().nullable(),
});

const openingShape = z.object({
  writer: z.string(),
  version: z.string(),
  after: headShape.nullable(),
});

/** What every entry says of itself, whatever was recorded. */
export type EntryBody = z.infer<typeof bodyShape>;

/** What the first entry of a chain says. */
export type Opening = z.infer<typeof openingShape>;

// As in `docs/audit-format.md`.
const context = 'sallyport-audit-1\n';

/** Whether the hash of an entry is that of its body. */
export function isHashOf({ body, hash }: StoredEntry): boolean {
  // A lone surrogate has no UTF-8, and would be hashed as if it were U+FFFD.
  return (
    body.isWellFormed() &&
    createHash('sha256').update(context).update(body).digest('base64url') === hash
  );
}

/** Whether the key has signed the body of an entry (ES256, raw `r || s`). */
export function isSignedBy(body: string, signature: string, key: KeyObject): boolean {
  if (!isBase64url(signature)) return false;
  const data = Buffer.from(context + body);
  const raw = Buffer.from(signature, 'base64url');
  return verify('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, raw);
}

/** Returns the body of an entry, or undefined when it is none. */
export function parseBody(body: string): EntryBody | undefined {
  return bodyShape.safeParse(parseJson(body)).data;
}

/** Returns what the first entry of a chain says, or undefined when it does not say it. */
export function parseOpening(body: string): Opening | undefined {
  return openingShape.safeParse(parseJson(body)).data;
}
