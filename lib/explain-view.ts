import * as z from 'zod';
import { protocols } from './target.ts';

/** What a decision comes to. */
export const outcomeShape = z.enum(['allow', 'needs', 'deny']);

export type Outcome = z.infer<typeof outcomeShape>;

const sentence = { detail: z.string().describe('A sentence for people.') };

/** One change that would turn a deny into an allow, alone and with all else as it is. */
export const changeShape = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('reason'), ...sentence }),
  z.strictObject({ kind: z.literal('change'), ...sentence }),
  z.strictObject({ kind: z.literal('duration'), durationSeconds: z.int(), ...sentence }),
  z.strictObject({
    kind: z.literal('service'),
    protocol: z.enum(protocols),
    port: z.int(),
    ...sentence,
  }),
  z.strictObject({ kind: z.literal('acr'), acr: z.string(), ...sentence }),
  z.strictObject({ kind: z.literal('signIn'), ...sentence }),
  z.strictObject({ kind: z.literal('time'), at: z.iso.datetime(), ...sentence }),
  z.strictObject({ kind: z.literal('group'), group: z.string(), ...sentence }),
  z.strictObject({
    kind: z.literal('tag'),
    tag: z.string(),
    /** Absent when the tag has to go. */
    value: z.string().exactOptional(),
    ...sentence,
  }),
]);

export type Change = z.infer<typeof changeShape>;
