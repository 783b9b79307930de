import * as z from 'zod';

const approvalTermShape = z.strictObject({
  /** The id of the group, in lower case, whose members may approve. */
  group: z.string().min(1),
  /** How many of them must. */
  count: z.int().positive(),
});

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
  /** How many payload bytes all connections of the session may carry, both directions together. */
  maxBytes: z.int().positive().exactOptional(),
  /** The networks (CIDR) from which connections may come, as the gateway sees them. */
  sourceNetworks: z.array(z.string()).min(1).exactOptional(),
  /** The authentication context that the caller must have satisfied (`acrs`). */
  acr: z.string().min(1).exactOptional(),
  /** What the reason must look like; `*` stands for any text. */
  reasonPattern: z.string().min(1).exactOptional(),
  /** What the change reference must look like; `*` stands for any text. */
  changePattern: z.string().min(1).exactOptional(),
  /** Who must approve the session before it can be used. */
  approval: approvalTermShape.exactOptional(),
  /** The name of this bundle of terms: equal names, equal terms. */
  profile: z.string().min(1).exactOptional(),
});

export type Terms = z.infer<typeof termsShape>;
