import { createHash } from 'node:crypto';
import type { PolicyFile } from './policy-scan.ts';
import { policySchema } from './policy-schema.ts';

/**
 * Returns the name of a set: SHA-256 (base64url) of the vocabulary and the files in the order of their names, whatever
 * ends their lines.
 */
export function toDigest(files: readonly PolicyFile[], vocabulary: string = policySchema): string {
  const texts = files.map(({ name, text }) => [name, text.replaceAll('\r\n', '\n')] as const);
  const ordered = texts.sort(([a], [b]) => (a < b ? -1 : 1));
  const canonical = `sallyport-policy-1\n${JSON.stringify([vocabulary, ...ordered])}`;
  return createHash('sha256').update(canonical).digest('base64url');
}
