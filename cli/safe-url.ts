/**
 * Returns the URL when a secret may be sent there: encrypted, or to this very machine. Undefined when it may not, when
 * it carries credentials, or when the text is no URL.
 */
export function parseSafeUrl(text: string, scheme: 'https:' | 'wss:'): URL | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  const plain = scheme === 'https:' ? 'http:' : 'ws:';
  const isSafe = url.protocol === scheme || (url.protocol === plain && isLoopback(url.hostname));
  return isSafe && url.username === '' && url.password === '' ? url : undefined;
}

// The URL parser has made one canonical spelling of every address by now.
/** Whether the host of a URL is this machine. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}
