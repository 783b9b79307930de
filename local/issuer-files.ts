import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const keySchema = z.looseObject({ kty: z.literal('RSA'), kid: z.string(), d: z.string() });

/** The issuer's private signing key as a JWK. */
export type SigningKey = z.infer<typeof keySchema>;

/** Names the file that holds nothing but the client secret of one caller. */
export function nameSecretFile(folder: string, caller: string): string {
  return join(folder, `${caller}-secret`);
}

/** Returns the caller's client secret. Made at first use and kept where only the owner can read it. */
export function ensureSecret(folder: string, caller: string): string {
  const file = nameSecretFile(folder, caller);
  const kept = readText(file)?.trim();
  if (kept) return kept;
  const secret = randomBytes(24).toString('base64url');
  writeSecret(file, secret);
  return secret;
}

/** Returns the signing key of the folder, so that tokens outlive a restart of the issuer. */
export function ensureSigningKey(folder: string): SigningKey {
  const file = join(folder, 'issuer-key.json');
  const kept = readText(file);
  if (kept !== undefined) return keySchema.parse(JSON.parse(kept));
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const kid = randomBytes(8).toString('hex');
  const jwk = { ...privateKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' };
  writeSecret(file, JSON.stringify(jwk));
  return keySchema.parse(jwk);
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function writeSecret(file: string, content: string): void {
  writeFileSync(file, `${content}\n`, { mode: 0o600 });
}
