/** What is sent to a receiver. */
export type Letter = {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
};

/** Sends a letter and returns the status of the answer, whatever it is. Fails when there is none within ten seconds. */
export type Post = (
  letter: Letter,
) => Promise<{ readonly status: number; readonly retryAfter?: string }>;

const timeoutMilliseconds = 10_000;
const maxBytes = 16 * 1024;

/**
 * Sends a letter with the platform's `fetch`. A redirect is not followed, because it would choose who gets the letter.
 * Of the answer's body nothing is used, and at most 16 KiB are read, so that the connection can serve again.
 */
export const postNotice: Post = async ({ url, headers, body }) => {
  const response = await fetch(url, {
    method: 'POST',
    headers: { ...headers, 'user-agent': 'sallyport' },
    body,
    redirect: 'manual',
    signal: AbortSignal.timeout(timeoutMilliseconds),
  });
  const retryAfter = response.headers.get('retry-after');
  await discard(response.body);
  return { status: response.status, ...(retryAfter === null ? {} : { retryAfter }) };
};

// The status has decided; a body that breaks off, or takes too long, changes nothing about it.
async function discard(body: AsyncIterable<Uint8Array> | null): Promise<void> {
  let sizeBytes = 0;
  try {
    for await (const chunk of body ?? []) {
      sizeBytes += chunk.length;
      if (maxBytes < sizeBytes) return;
    }
  } catch {
    return;
  }
}
