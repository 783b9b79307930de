import * as z from 'zod';
import { parseJson } from './json.ts';

// What stands in an export is told as it is stored, right or wrong: the verifier names what is wrong. So the shapes ask
// for the right members, and not for the right text in them.

const headerShape = z.strictObject({
  line: z.literal('header'),
  v: z.literal(1),
  /** The public URL of the broker. */
  issuer: z.string(),
  /** The first and the last day (UTC) whose chains the file holds. */
  from: z.iso.date(),
  to: z.iso.date(),
  /** As of when: chains and checkpoints that are younger are left out. */
  time: z.iso.datetime({ precision: 3 }),
});

const checkpointShape = z.strictObject({
  line: z.literal('checkpoint'),
  n: z.int(),
  b: z.string(),
  h: z.string(),
  s: z.string(),
  kid: z.string(),
});

const chainShape = z.strictObject({
  line: z.literal('chain'),
  chain: z.string(),
  writer: z.string(),
  version: z.string(),
  key: z.string(),
  endorsement: z.string(),
});

const entryShape = z.strictObject({
  line: z.literal('entry'),
  chain: z.string(),
  seq: z.int(),
  b: z.string(),
  h: z.string(),
  s: z.string().exactOptional(),
  kid: z.string().exactOptional(),
});

const endShape = z.strictObject({
  line: z.literal('end'),
  entries: z.int(),
  checkpoints: z.int(),
  chains: z.int(),
});

const nextShape = z.strictObject({
  line: z.literal('next'),
  after: z.string(),
  /** The share of the export that lies behind, from 0 to 1. */
  progress: z.number(),
});

const lineShape = z.discriminatedUnion('line', [
  headerShape,
  checkpointShape,
  chainShape,
  entryShape,
  endShape,
  nextShape,
]);

/** A line of an export, as `docs/audit-format.md` describes it. */
export type ExportLine = z.infer<typeof lineShape>;

export type HeaderLine = z.infer<typeof headerShape>;
export type CheckpointLine = z.infer<typeof checkpointShape>;
export type ChainLine = z.infer<typeof chainShape>;
export type EntryLine = z.infer<typeof entryShape>;
export type EndLine = z.infer<typeof endShape>;

/** How long before its first day the checkpoints of an export begin: so much may clocks differ, and more. */
export const leadMilliseconds = 3_600_000;

/** Returns when a day (`yyyymmdd`, UTC) begins, in milliseconds since the epoch. */
export function toDayStart(day: string): number {
  return Date.parse(`${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6, 8)}`);
}

/** Returns the text of a line, without the line feed that ends it. */
export function formatLine(line: ExportLine): string {
  return JSON.stringify(line);
}

/** Returns the line that a text is, or undefined where it is none. */
export function parseLine(text: string): ExportLine | undefined {
  const value = parseJson(text);
  // One text for one value: blanks, other escapes or a member that stands twice could show a reader something else.
  if (value === undefined || JSON.stringify(value) !== text) return undefined;
  return lineShape.safeParse(value).data;
}
