import * as z from 'zod';

// Written from docs/audit-format.md, and not from the code that exports and verifies.

const lineShape = z.discriminatedUnion('line', [
  z.strictObject({
    line: z.literal('header'),
    v: z.literal(1),
    issuer: z.string(),
    from: z.iso.date(),
    to: z.iso.date(),
    time: z.iso.datetime(),
  }),
  z.strictObject({
    line: z.literal('checkpoint'),
    n: z.int(),
    b: z.string(),
    h: z.string(),
    s: z.string(),
    kid: z.string(),
  }),
  z.strictObject({
    line: z.literal('chain'),
    chain: z.string(),
    writer: z.string(),
    version: z.string(),
    key: z.string(),
    endorsement: z.string(),
  }),
  z.strictObject({
    line: z.literal('entry'),
    chain: z.string(),
    seq: z.int(),
    b: z.string(),
    h: z.string(),
    s: z.string().optional(),
    kid: z.string().optional(),
  }),
  z.strictObject({
    line: z.literal('end'),
    entries: z.int(),
    checkpoints: z.int(),
    chains: z.int(),
  }),
]);

/** A line of an export. */
export type Line = z.infer<typeof lineShape>;
/** A line of one kind. */
export type Of<Kind extends Line['line']> = Extract<Line, { line: Kind }>;

/** Returns the lines of the text of an export, or throws when one of them is none. */
export function readLines(text: string): readonly Line[] {
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  return text
    .slice(0, -1)
    .split('\n')
    .filter((line) => !line.startsWith('{"line":"next"'))
    .map((line) => {
      const value: unknown = JSON.parse(line);
      if (JSON.stringify(value) !== line || !JSON.stringify([line]).isWellFormed())
        throw new Error('a line has another form');
      return lineShape.parse(value);
    });
}

/** Returns the day of a chain as `yyyy-mm-dd`. */
export function toDay(chain: string): string {
  return `${chain.slice(0, 4)}-${chain.slice(4, 6)}-${chain.slice(6, 8)}`;
}

/** Whether base64url comes out the same when it is decoded and encoded again. */
export function isExact(text: string): boolean {
  return Buffer.from(text, 'base64url').toString('base64url') === text;
}

/** Returns the sentences of the checks that found something. */
export function listFaults(what: string, checks: Readonly<Record<string, boolean>>): string[] {
  return Object.entries(checks).flatMap(([fault, isFound]) =>
    isFound ? [`${what} ${fault}`] : [],
  );
}
