import { isDeepStrictEqual } from 'node:util';
import * as z from 'zod';
import { type DecisionInput, decisionInputShape, type Policy } from './decision.ts';
import { outcomeShape } from './explain-view.ts';
import { needShape } from './need.ts';
import { findLine, type Finding, type PolicyFile } from './policy-scan.ts';
import { termsShape } from './terms.ts';

// What a case leaves out. Noon is in UTC, of a Wednesday.
const usual: DecisionInput = {
  caller: {
    id: '00000000-0000-4000-8000-000000000001.00000000-0000-4000-8000-000000000002',
    kind: 'person',
    app: '00000000-0000-4000-8000-000000000003',
    issuer: 'https://issuer.example',
    groups: [],
    acrs: [],
  },
  target: {
    id: '00000000-0000-4000-8000-000000000004',
    name: 'vm',
    subscription: '00000000-0000-4000-8000-000000000005',
    resourceGroup: 'group',
    os: 'linux',
    tags: {},
  },
  action: 'connect.ssh',
  context: { port: 22, now: Date.parse('2025-01-15T12:00:00Z') / 1000, durationSeconds: 3600 },
};

// With its offset, or a case would decide differently on another machine.
const timedShape = z.looseObject({
  now: z.iso.datetime({ offset: true }).transform((time) => Math.floor(Date.parse(time) / 1000)),
});

const sectionsShape = z
  .looseObject({
    caller: z.unknown(),
    onBehalfOf: z.unknown(),
    target: z.unknown(),
    context: z.unknown(),
  })
  .partial();

/**
 * The cases of one file in `policies/tests`: questions to a set, and what it must answer. What an input leaves out is a
 * person without groups who asks for SSH to a Linux VM without tags, for an hour, on a Wednesday at noon (UTC).
 */
const casesShape = z.array(
  z.strictObject({
    name: z.string().min(1),
    input: z.preprocess(addUsual, decisionInputShape),
    expect: z.strictObject({
      outcome: outcomeShape,
      terms: termsShape.optional(),
      needs: z.array(needShape).optional(),
      policies: z.array(z.string()).optional(),
      advice: z.array(z.string()).optional(),
    }),
  }),
);

/** A question to a set, and what it must answer. */
export type Case = z.infer<typeof casesShape>[number];

/** The cases of a file, or the faults that keep it from being read. */
export type CaseFile = {
  readonly file: PolicyFile;
  readonly cases: readonly Case[];
  readonly findings: readonly Finding[];
};

function addUsual(input: unknown = {}): unknown {
  const sections = sectionsShape.safeParse(input);
  if (!sections.success) return input;
  const { caller, onBehalfOf, target, context } = sections.data;
  return {
    ...usual,
    ...sections.data,
    caller: merge(usual.caller, caller),
    ...(onBehalfOf === undefined ? {} : { onBehalfOf: merge(usual.caller, onBehalfOf) }),
    target: merge(usual.target, target),
    context: merge(usual.context, timedShape.safeParse(context).data ?? context),
  };
}

function merge(usualSection: object, changes: unknown = {}): unknown {
  const isSection = typeof changes === 'object' && changes !== null;
  return isSection ? { ...usualSection, ...changes } : changes;
}

/** Reads the cases of a file. One fault, and none of them counts. */
export function parseCases(file: PolicyFile): CaseFile {
  const cases = casesShape.safeParse(parseJson(file.text));
  if (cases.success) return { file, cases: cases.data, findings: [] };
  return { file, cases: [], findings: cases.error.issues.map((issue) => toFault(file, issue)) };
}

/** Puts a case to a policy. Returns a finding when it does not decide as the case expects. */
export function runCase(
  policy: Policy,
  { name, input, expect }: Case,
  file: PolicyFile,
): readonly Finding[] {
  const decision = new Map<string, unknown>(Object.entries(policy.decide(input)));
  const differences = Object.entries(expect)
    .filter(([member, wanted]) => !isDeepStrictEqual(decision.get(member), wanted))
    .map(([member, wanted]) => {
      const found = decision.has(member) ? JSON.stringify(decision.get(member)) : 'absent';
      return `${member} is ${found}, expected is ${JSON.stringify(wanted)}.`;
    });
  if (differences.length === 0) return [];
  const line = findLine(file.text, file.text.indexOf(JSON.stringify(name)));
  return [{ file: file.name, line, detail: `${name}: ${differences.join(' ')}` }];
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function toFault({ name, text }: PolicyFile, { path, message }: z.core.$ZodIssue): Finding {
  const [index] = path;
  // Each case has a name: the one at fault begins where its name stands.
  const starts = [...text.matchAll(/"name"\s*:/g)].map((match) => match.index);
  const start = typeof index === 'number' ? (starts[index] ?? 0) : 0;
  const place = path.length === 0 ? 'the file' : path.slice(1).join('.');
  return { file: name, line: findLine(text, start), detail: `${place}: ${message}` };
}
