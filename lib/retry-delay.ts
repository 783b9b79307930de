import { createHash } from 'node:crypto';

const firstMilliseconds = 5_000;
const factor = 4;
const longestMilliseconds = 4 * 3_600_000;

/**
 * Returns how long to wait after so many failed attempts, in milliseconds: 5 s, 20 s, 80 s and so on up to four hours,
 * each up to a quarter more or less. What is added follows from the id, so that many that failed together come apart.
 */
export function findRetryDelay(id: string, attempts: number): number {
  const even = Math.min(firstMilliseconds * factor ** (attempts - 1), longestMilliseconds);
  const digest = createHash('sha256')
    .update(`${id}|${String(attempts)}`)
    .digest();
  const share = digest.readUInt32BE() / 0xffff_ffff;
  return Math.round(even * (0.75 + share / 2));
}

/**
 * Returns the wait that `Retry-After` asks for, in milliseconds and at most four hours (RFC 9110, section 10.2.3);
 * undefined when it asks for none or cannot be read.
 */
export function parseRetryAfter(text: string | undefined, now: Date): number | undefined {
  if (text === undefined) return undefined;
  const asked = /^\d{1,9}$/.test(text)
    ? Number(text) * 1000
    : new Date(text).getTime() - now.getTime();
  // A date that cannot be read is not a number, and not greater than 0.
  return 0 < asked ? Math.min(asked, longestMilliseconds) : undefined;
}
