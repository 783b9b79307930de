import { buffer } from 'node:stream/consumers';
import type { TokenCredential } from '@azure/identity';
import type { ContainerClient, RestError } from '@azure/storage-blob';
import type { CheckpointCopies } from '../checkpoint-copies.ts';
import { within } from './deadline.ts';
import { toCause } from './sdk-error.ts';

/** Which container, and the identity to write it with. */
export type CheckpointBlobSettings = {
  /** `https:`, or on loopback `http:` for Azurite, whose published development key is then used. */
  readonly url: URL;
  readonly credential: TokenCredential;
};

const callMilliseconds = 3000;

// Six thousand heads, and more than one row of a table holds.
const maxBytes = 2 * 1024 * 1024;

// Azurite's published development key. It protects nothing: loopback is the protection.
const developmentKey =
  'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

/**
 * Opens the copies of checkpoints in a blob container: `<n>.json`, with the number in 12 digits. A blob is added and never
 * replaced. Nothing is sent before the first call. Fails for an address where tokens could be read on the way.
 */
export function openCheckpointBlobs(settings: CheckpointBlobSettings): CheckpointCopies {
  requireSafe(settings.url);
  let opened: Promise<ContainerClient> | undefined;
  const send = async <T>(
    n: number,
    work: (container: ContainerClient, signal: AbortSignal) => Promise<T>,
  ): Promise<T> => {
    try {
      const container = await (opened ??= openContainer(settings));
      return await within(callMilliseconds, async (signal) => work(container, signal));
    } catch (error) {
      throw toFailure(n, error);
    }
  };
  return {
    add: async (n, text) =>
      send(n, async (container, signal) => upload(container, n, text, signal)),
    find: async (n) => send(n, async (container, signal) => download(container, n, signal)),
  };
}

// The library takes 200 ms to load, which a process without copies need not pay.
async function openContainer({
  url,
  credential,
}: CheckpointBlobSettings): Promise<ContainerClient> {
  const blobs = await import('@azure/storage-blob');
  const identity =
    url.protocol === 'http:'
      ? new blobs.StorageSharedKeyCredential('devstoreaccount1', developmentKey)
      : credential;
  return new blobs.ContainerClient(url.href, identity, {
    // Its own retries wait for seconds and know no end in time; the next run is a retry.
    retryOptions: { maxTries: 1 },
    // One call in half a minute: between two a NAT may forget the socket, and the call would hang.
    keepAliveOptions: { enable: false },
  });
}

async function upload(
  container: ContainerClient,
  n: number,
  text: string,
  abortSignal: AbortSignal,
): Promise<'added' | 'exists'> {
  const content = Buffer.from(text);
  try {
    await container.getBlockBlobClient(toName(n)).upload(content, content.length, {
      abortSignal,
      // Added and never replaced, also where the container would allow it (RFC 9110, section 13.1.2).
      conditions: { ifNoneMatch: '*' },
      blobHTTPHeaders: { blobContentType: 'application/json' },
    });
    return 'added';
  } catch (error) {
    const code = isRestError(error) ? error.code : undefined;
    // A container with immutability says it in its own words.
    if (code === 'BlobAlreadyExists' || code === 'BlobImmutableDueToPolicy') return 'exists';
    throw error;
  }
}

async function download(
  container: ContainerClient,
  n: number,
  abortSignal: AbortSignal,
): Promise<string | undefined> {
  try {
    const answer = await container.getBlobClient(toName(n)).download(0, maxBytes, {
      abortSignal,
      maxRetryRequests: 0,
    });
    if (answer.readableStreamBody === undefined) throw new Error('the answer has no content');
    const content = await buffer(answer.readableStreamBody);
    // Half an answer can look like a whole one, but for the size of the blob in its range.
    if (!(answer.contentRange ?? '').endsWith(`/${content.length}`))
      throw new Error('the copy was cut short on the way, or is larger than a sound one');
    return content.toString('utf8');
  } catch (error) {
    // Not just any 404: a missing container is a fault, not an absent copy.
    if (isRestError(error) && error.code === 'BlobNotFound') return undefined;
    throw error;
  }
}

function toName(n: number): string {
  return `${String(n).padStart(12, '0')}.json`;
}

function requireSafe({ hostname, protocol }: URL): void {
  if (protocol === 'https:') return;
  if (protocol !== 'http:' || !['localhost', '127.0.0.1', '[::1]'].includes(hostname))
    throw new Error('The URL of the checkpoints must begin with https:.');
}

function toFailure(n: number, error: unknown): Error {
  const code = isRestError(error) ? error.code : undefined;
  const cause = toCause(error, code);
  return new Error(`the copy of checkpoint ${n} cannot be made or read`, { cause });
}

// By its name: the class is not to be loaded for an error of something else.
function isRestError(error: unknown): error is RestError {
  return error instanceof Error && error.name === 'RestError';
}
