import * as z from 'zod';
import { decisionInputShape } from './decision.ts';
import { outcomeShape } from './explain-view.ts';
import { policyFilesShape } from './policy-isolation.ts';
import { positionPattern } from './simulate-audit.ts';

const maxDays = 400;
const maxEntries = 10_000;

/** A body of up to 1,000 cases beside the largest set. */
export const simulateRequestBytes = 4 * 1024 * 1024;

const time = z.iso.datetime({ offset: true }).transform((text) => new Date(text));

/** A proposed set, and what to try it on: `POST /api/policy/simulate`. */
export const simulateRequestShape = z.strictObject({
  policies: policyFilesShape.min(1).max(1000),
  cases: z
    .array(z.strictObject({ name: z.string().max(200).exactOptional(), input: decisionInputShape }))
    .max(1000)
    .default([]),
  audit: z
    .strictObject({
      from: time,
      to: time,
      nextFrom: z
        .string()
        .regex(positionPattern)
        .exactOptional()
        .describe('Where the answer before this one left off.'),
      limit: z.int().min(1).max(maxEntries).default(maxEntries),
    })
    .refine(({ from, to }) => to.getTime() - from.getTime() <= maxDays * 86_400_000, {
      message: `Choose a range of up to ${maxDays} days.`,
    })
    .exactOptional()
    .describe(
      'Past decisions of this time. At most `limit` audit entries are read for one answer.',
    ),
});

export type SimulateRequest = z.infer<typeof simulateRequestShape>;

const verdictShape = z.strictObject({
  outcome: outcomeShape,
  policies: z.array(z.string()),
});

const flipShape = z.strictObject({
  case: z.string().describe('The name of the case or its place, or the session of an audit entry.'),
  /** When a past decision was made. */
  time: z.iso.datetime().exactOptional(),
  caller: z.string(),
  target: z.string(),
  action: z.string(),
  port: z.int(),
  from: verdictShape.describe('By the set in force.'),
  to: verdictShape.describe('By the proposed set.'),
});

export type Flip = z.infer<typeof flipShape>;

const countsShape = z.strictObject({
  decided: z.int(),
  allowToNeeds: z.int(),
  allowToDeny: z.int(),
  needsToAllow: z.int(),
  needsToDeny: z.int(),
  denyToAllow: z.int(),
  denyToNeeds: z.int(),
});

export type Counts = z.infer<typeof countsShape>;

/** What would be decided otherwise, or why the proposed set cannot be taken. */
export const simulateAnswerShape = z.discriminatedUnion('outcome', [
  z.strictObject({
    outcome: z.literal('faulty'),
    findings: z.array(z.strictObject({ file: z.string(), line: z.int(), detail: z.string() })),
  }),
  z.strictObject({
    outcome: z.literal('sound'),
    /** The digest of the set in force. */
    digest: z.string(),
    counts: countsShape,
    flips: z.array(flipShape).describe('Up to 1,000; the counts are of all.'),
    audit: z
      .strictObject({
        entries: z.int(),
        progress: z.number().min(0).max(1),
        nextFrom: z.string().exactOptional(),
      })
      .exactOptional(),
  }),
]);

export type SimulateAnswer = z.infer<typeof simulateAnswerShape>;
