import { buffer } from 'node:stream/consumers';
import type { TokenCredential } from '@azure/identity';
import type { ContainerClient, RestError } from '@azure/storage-blob';
import { bundleBytes } from '../policy-bundle.ts';
import { pointerBytes } from '../policy-pointer.ts';
import type { PolicySource } from '../policy-source.ts';
import { within } from './deadline.ts';
import { toCause } from './sdk-error.ts';

/** Which container, and the identity to read it with. */
export type PolicyBlobSettings = {
  /** `https:`, or on loopback `http:` for Azurite, whose published development key is then used. */
  readonly url: URL;
  readonly credential: TokenCredential;
};

/** What to read: up to so many bytes, unless it still is the version named. */
type Wanted = { readonly name: string; readonly maxBytes: number; readonly etag?: string };

type Content = { readonly etag: string; readonly text: string };

const pointerMilliseconds = 3000;
const bundleMilliseconds = 8000;

// Azurite's published development key. It protects nothing: loopback is the protection.
const developmentKey =
  'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

/**
 * Opens the policy sets of a blob container, to read only: the blob `current`, and `bundles/<digest>.json`. Nothing is
 * sent before the first call. Fails for an address where policies or tokens could be read on the way.
 */
export function openPolicyBlobs(settings: PolicyBlobSettings): PolicySource {
  requireSafe(settings.url);
  let opened: Promise<ContainerClient> | undefined;
  const read = async (wanted: Wanted, milliseconds: number): Promise<Content | 'unchanged'> => {
    try {
      const container = await (opened ??= openContainer(settings));
      return await within(milliseconds, async (signal) => download(container, wanted, signal));
    } catch (error) {
      if (findStatus(error) === 304) return 'unchanged';
      throw toFailure(wanted, error);
    }
  };
  return {
    readPointer: async (etag) => {
      const wanted = { name: 'current', maxBytes: pointerBytes };
      return read(etag === undefined ? wanted : { ...wanted, etag }, pointerMilliseconds);
    },
    readBundle: async (digest) => {
      const wanted = { name: `bundles/${digest}.json`, maxBytes: bundleBytes };
      const content = await read(wanted, bundleMilliseconds);
      if (content === 'unchanged') throw new Error('the store answered what was not asked');
      return content.text;
    },
  };
}

// The library takes 200 ms to load, which a broker with its policies in files need not pay.
async function openContainer({ url, credential }: PolicyBlobSettings): Promise<ContainerClient> {
  const blobs = await import('@azure/storage-blob');
  const identity =
    url.protocol === 'http:'
      ? new blobs.StorageSharedKeyCredential('devstoreaccount1', developmentKey)
      : credential;
  return new blobs.ContainerClient(url.href, identity, {
    // Its own retries wait for seconds and know no end in time; the next look is a retry.
    retryOptions: { maxTries: 1 },
    // One call in ten seconds: between two a NAT may forget the socket, and the call would hang.
    keepAliveOptions: { enable: false },
  });
}

async function download(
  container: ContainerClient,
  { name, maxBytes, etag }: Wanted,
  abortSignal: AbortSignal,
): Promise<Content> {
  // One byte more than there may be, so that a larger blob is known by it.
  const answer = await container.getBlobClient(name).download(0, maxBytes + 1, {
    abortSignal,
    maxRetryRequests: 0,
    ...(etag === undefined ? {} : { conditions: { ifNoneMatch: etag } }),
  });
  const { contentRange = '', etag: version, readableStreamBody } = answer;
  if (readableStreamBody === undefined || version === undefined)
    throw new Error(`the answer about ${name} has no content`);
  const content = await buffer(readableStreamBody);
  if (content.length > maxBytes) throw new Error(`${name} is larger than a sound one`);
  // Half an answer can look like a whole one, but for the size of the blob in its range.
  if (!contentRange.endsWith(`/${content.length}`))
    throw new Error(`${name} was cut short on the way`);
  return { etag: version, text: content.toString('utf8') };
}

function requireSafe({ hostname, protocol }: URL): void {
  if (protocol === 'https:') return;
  if (protocol !== 'http:' || !['localhost', '127.0.0.1', '[::1]'].includes(hostname))
    throw new Error('The URL of the policies must begin with https:.');
}

function findStatus(error: unknown): number | undefined {
  return isRestError(error) ? error.statusCode : undefined;
}

function toFailure({ name }: Wanted, error: unknown): Error {
  const code = isRestError(error) ? error.code : undefined;
  return new Error(`${name} of the policies cannot be read`, { cause: toCause(error, code) });
}

// By its name: the class is not to be loaded for an error of something else.
function isRestError(error: unknown): error is RestError {
  return error instanceof Error && error.name === 'RestError';
}
