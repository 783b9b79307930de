/** Reads JSON. Fails when the answer is not 200, is no JSON or is too large, and when the signal aborts. */
export type FetchJson = (url: URL, signal: AbortSignal) => Promise<unknown>;

const maxBytes = 256 * 1024;

/** Reads up to 256 KiB of JSON with the platform's `fetch`. A redirect is a failure: it would choose whom we trust. */
export const fetchJson: FetchJson = async (url, signal) => {
  const headers = { accept: 'application/json' };
  const response = await fetch(url, { signal, redirect: 'error', headers });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`${url.href} answered ${response.status}`);
  }
  const body: AsyncIterable<Uint8Array> | null = response.body;
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of body ?? []) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxBytes) throw new Error(`${url.href} answered more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  const value: unknown = JSON.parse(Buffer.concat(chunks).toString());
  return value;
};
