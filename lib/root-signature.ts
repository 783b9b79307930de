import { verify } from 'node:crypto';
import type { TrustedRoots } from './root-key.ts';

/** What a root key is said to have signed (ES256, raw `r || s`; RFC 7518, section 3.4). */
export type RootSigned = {
  readonly kid: string;
  readonly data: Buffer;
  readonly signature: Buffer;
};

/** Whether a root key that is trusted has signed these bytes. */
export function verifyRootSignature(
  roots: TrustedRoots,
  { kid, data, signature }: RootSigned,
): boolean {
  const key = roots.get(kid);
  if (key === undefined) return false;
  return verify('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, signature);
}
