import type { KeyObject } from 'node:crypto';
import { createHash, createPublicKey, verify } from 'node:crypto';
import type { TokenCredential } from '@azure/identity';
import type { CryptographyClient, KeyClientOptions, KeyVaultKey } from '@azure/keyvault-keys';
import { BrokerError } from '../failure.ts';
import type { PublicJwk, RootKey } from '../root-key.ts';
import { publicJwkShape, toKid } from '../root-key.ts';
import { within } from './deadline.ts';
import { toCause } from './sdk-error.ts';

/** Which key: its URL with its version, the identity to use there, and in tests the way to the vault. */
export type KeyVaultSettings = {
  readonly url: URL;
  readonly credential: TokenCredential;
  readonly agent?: NonNullable<KeyClientOptions['agent']>;
};

// The whole call, with the SDK's one retry and the first token.
const timeoutMilliseconds = 8000;

/**
 * Opens the root key in Key Vault: reads its public half once and signs with it there, for the key cannot leave. Fails
 * with `keys-unavailable` when the vault does not answer, refuses, or holds no EC P-256 key under that URL.
 */
export async function openKeyVaultKey(settings: KeyVaultSettings): Promise<RootKey> {
  const { url, credential, agent } = settings;
  // Loaded here, so that a broker whose root key is a file does without.
  const vault = await import('@azure/keyvault-keys');
  const { vaultUrl, name, version } = vault.parseKeyVaultKeyIdentifier(url.href);
  // Without a version, a rotation in the vault would change the key under everyone who trusts this one.
  if (version === undefined) throw new Error('The URL of the root key must end in its version.');
  const toOptions = (): KeyClientOptions => ({
    retryOptions: { maxRetries: 1, retryDelayInMs: 200 },
    ...(agent === undefined ? {} : { agent }),
  });
  const { key, publicJwk } = await guard(async (abortSignal) => {
    const client = new vault.KeyClient(vaultUrl, credential, toOptions());
    const key = await client.getKey(name, { version, abortSignal });
    return { key, publicJwk: toJwk(key) };
  });
  const publicKey = createPublicKey({ key: publicJwk, format: 'jwk' });
  const client = new vault.CryptographyClient(key, credential, toOptions());
  return {
    kid: toKid(publicJwk),
    publicJwk,
    sign: async (data) => guard(async (signal) => sign(client, publicKey, data, signal)),
  };
}

async function sign(
  client: CryptographyClient,
  publicKey: KeyObject,
  data: Buffer,
  abortSignal: AbortSignal,
): Promise<Buffer> {
  const digest = createHash('sha256').update(data).digest();
  // Key Vault answers with raw r||s, as JWS wants it, and not with DER.
  const { result } = await client.sign('ES256', digest, { abortSignal });
  const signature = Buffer.from(result);
  if (!verify('sha256', data, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature))
    throw new Error('the vault signed with another key or in another form');
  return signature;
}

function toJwk({ key }: KeyVaultKey): PublicJwk {
  // A key in an HSM calls itself EC-HSM; its public half is like any other.
  const kty = key?.kty === 'EC-HSM' ? 'EC' : key?.kty;
  return publicJwkShape.parse({
    kty,
    crv: key?.crv,
    x: toCoordinate(key?.x),
    y: toCoordinate(key?.y),
  });
}

// A coordinate is always 32 bytes in a JWK (RFC 7518, section 6.2.1.2), and a leading zero is easily lost on the way.
function toCoordinate(bytes: Uint8Array = new Uint8Array()): string {
  const zeros = Buffer.alloc(Math.max(0, 32 - bytes.length));
  return Buffer.concat([zeros, bytes]).toString('base64url');
}

async function guard<T>(operation: (signal: AbortSignal) => Promise<T>): Promise<T> {
  try {
    return await within(timeoutMilliseconds, operation);
  } catch (error) {
    throw new BrokerError('keys-unavailable', 'Try again in a few seconds.', {
      cause: toCause(error),
      retryAfterSeconds: 5,
    });
  }
}
