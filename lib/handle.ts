import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';
import type { Row, Table } from './table.ts';

// A handle stands for a ticket where a JWT does not fit. The table holds the ticket encrypted under the handle, so
// that storage access alone can neither use a ticket nor make one.

const handlePattern = /^[\w-]{43}$/;
const algorithm = 'aes-256-gcm';
const tagBytes = 16;
const partition = 'handle';

/** Whether a text has the form of a handle: 256 random bits, base64url. */
export function isHandle(text: string): boolean {
  return handlePattern.test(text);
}

/** Returns a fresh handle and the row that lets a broker turn it back into the ticket. */
export function sealTicket(ticket: string, expiresAt: Date): { handle: string; row: Row } {
  const handle = randomBytes(32).toString('base64url');
  // Each key encrypts one message, so a fixed nonce is never used twice under it.
  const cipher = createCipheriv(algorithm, toKey(handle), Buffer.alloc(12));
  const sealed = Buffer.concat([
    cipher.update(ticket, 'utf8'),
    cipher.final(),
    cipher.getAuthTag(),
  ]);
  const values = { sealed: sealed.toString('base64url'), expires: expiresAt.getTime() };
  return { handle, row: { partition, row: toRow(handle), values } };
}

/** Returns the ticket that a handle stands for; undefined when there is none, or its row was tampered with. */
export async function openHandle(table: Table, handle: string): Promise<string | undefined> {
  const row = await table.find(partition, toRow(handle));
  if (row === undefined) return undefined;
  const sealed = Buffer.from(String(row.values['sealed']), 'base64url');
  try {
    const decipher = createDecipheriv(algorithm, toKey(handle), Buffer.alloc(12));
    decipher.setAuthTag(sealed.subarray(-tagBytes));
    return Buffer.concat([
      decipher.update(sealed.subarray(0, -tagBytes)),
      decipher.final(),
    ]).toString('utf8');
  } catch {
    return undefined;
  }
}

function toKey(handle: string): Buffer {
  return Buffer.from(hkdfSync('sha256', handle, '', 'sallyport-handle-1', 32));
}

function toRow(handle: string): string {
  return createHash('sha256').update(handle).digest('base64url');
}
