import * as z from 'zod';
import { protocols } from './target.ts';

/** Text of a person that ends in an audit entry: no control, bidirectional or lone surrogate characters. */
export const plainText = z
  .string()
  .trim()
  .min(1)
  .max(500)
  .regex(
    /^[^\p{Cc}\p{Cs}\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069\u2028\u2029]*$/u,
    'Use plain text without control characters.',
  );

/** What a caller asks for: `PUT /api/sessions/{id}` and `POST /api/sessions`. */
export const sessionRequestShape = z
  .strictObject({
    target: z
      .string()
      .min(1)
      .max(1000)
      .describe('The id of the target (a GUID, `vmId` at ARM), or the ARM resource id of the VM.'),
    protocol: z.enum(protocols),
    port: z
      .int()
      .min(1)
      .max(65_535)
      .exactOptional()
      .describe('22 for ssh and 3389 for rdp when absent; needed for tcp.'),
    durationSeconds: z
      .int()
      .min(60)
      .max(86_400)
      .default(3600)
      .describe('How long the session may last. Policy may allow less.'),
    reason: plainText
      .exactOptional()
      .describe('Why, for the audit and for policies that ask for it.'),
    change: plainText.exactOptional().describe('A change or incident reference.'),
    profile: z
      .string()
      .regex(/^[a-z][a-z0-9-]{0,39}$/, 'Use a profile that policy names.')
      .exactOptional()
      .describe('The bundle of terms to ask for. The best offer when absent.'),
    start: z
      .literal(true)
      .exactOptional()
      .describe('Have the VM started when it is stopped, where policy permits that.'),
    delegation: z
      .uuid()
      .toLowerCase()
      .exactOptional()
      .describe('The delegation by which a workload asks in the name of a person.'),
  })
  .refine((request) => request.protocol !== 'tcp' || request.port !== undefined, {
    path: ['port'],
    message: 'Give the port: tcp has no default.',
  });

export type SessionRequest = z.infer<typeof sessionRequestShape>;
