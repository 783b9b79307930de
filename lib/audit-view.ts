import * as z from 'zod';
import { alarmShape } from './audit-alarm.ts';

/** The query of `GET /api/audit`. */
export const auditQueryShape = z.strictObject({
  caller: z
    .string()
    .max(300)
    .exactOptional()
    .describe(
      'A caller id; needs the role Audit.Read. Everybody when absent, and mine without it.',
    ),
  target: z.guid().exactOptional(),
  session: z.uuid().exactOptional(),
  type: z
    .string()
    .regex(/^[a-z]+\.[a-z-]+$/)
    .max(60)
    .exactOptional()
    .describe('For example `session.ended`.'),
  from: z.iso.datetime({ offset: true }).exactOptional().describe('The first moment.'),
  to: z.iso.datetime({ offset: true }).exactOptional().describe('The moment after the last.'),
  limit: z.coerce.number().int().min(1).max(200).default(50),
  after: z.string().max(4096).exactOptional().describe('From `nextLink`.'),
});

export type AuditQuery = z.infer<typeof auditQueryShape>;

const itemMembers = {
  chain: z.string(),
  seq: z.int().positive(),
  time: z.iso.datetime(),
  type: z.string(),
  body: z
    .record(z.string(), z.unknown())
    .nullable()
    .describe('What was recorded; null where it is not there any more.'),
  hash: z
    .string()
    .nullable()
    .describe('As in a receipt; null where what is stored is not what was recorded.'),
  sealed: z.int().nullable().describe('The number of the checkpoint; null until there is one.'),
  withheld: z
    .array(z.string())
    .exactOptional()
    .describe('Members of the body that only the role Audit.Read shows; the hash is with them.'),
};

/** One entry as the query shows it. */
const auditItemShape = z.strictObject(itemMembers);

export type AuditItem = z.infer<typeof auditItemShape>;

/** Answer to `GET /api/audit`, newest first. */
export const auditListShape = z.strictObject({
  value: z.array(auditItemShape),
  nextLink: z.url().exactOptional(),
  /** Whether there may be newer entries that are neither sealed nor shown. */
  partial: z.literal(true).exactOptional(),
});

const line = z.record(z.string(), z.unknown());

/** Answer to `GET /api/audit/{chain}/{seq}`. */
export const auditEntryShape = z.strictObject({
  ...itemMembers,
  proof: z
    .strictObject({
      issuer: z.string().describe('The broker that the root key must have spoken of.'),
      chain: line.describe('The announcement of the chain, as the line of an export.'),
      entries: z
        .array(line)
        .describe('The entry and those after it, up to the sealed one, as lines of an export.'),
      checkpoint: line.exactOptional().describe('What sealed the last of them.'),
      next: z
        .int()
        .exactOptional()
        .describe('From which entry on the proof goes on, where that is too long for one answer.'),
    })
    .exactOptional()
    .describe('What it takes to verify the entry offline. Needs the role Audit.Read.'),
});

export type AuditEntryView = z.infer<typeof auditEntryShape>;

/** Answer to `GET /api/audit/alarms`. */
export const alarmListShape = z.strictObject({ value: z.array(alarmShape) });
