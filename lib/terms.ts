import * as z from 'zod';

/**
 * What an allowed session must respect. The list is closed: whoever meets a term that is not here refuses, the gateway
 * included. A term that is absent does not limit; the broker's own caps always apply.
 */
export const termsShape = z.strictObject({
  /** The longest the session may last, in seconds. */
  maxDurationSeconds: z.int().positive().exactOptional(),
  /** How many connections may be open at once. */
  maxConnections: z.int().positive().exactOptional(),
  /** How long a connection may carry no payload byte in either direction, in seconds. */
  maxIdleSeconds: z.int().positive().exactOptional(),
});

export type Terms = z.infer<typeof termsShape>;
