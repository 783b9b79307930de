/** A Cedar file of a set. */
export type PolicyFile = { readonly name: string; readonly text: string };

/** Something to repair: where (the line is counted from 1), and what to do. */
export type Finding = { readonly file: string; readonly line: number; readonly detail: string };

/** What a set may be at most. The last two bound the depth of one policy and keep Cedar's stack far from its end. */
export const policyLimits = {
  fileBytes: 256 * 1024,
  setBytes: 1024 * 1024,
  files: 1000,
  policies: 1000,
  nesting: 32,
  steps: 200,
} as const;

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.cedar$/;

// Blanks and comments, strings, words, operators. What matches none of them stands outside of Cedar's grammar.
const tokenPattern =
  /\s+|\/\/[^\n\r]*|"(?:[^"\\]|\\.)*"|[A-Za-z_][A-Za-z0-9_]*|[0-9]+|&&|\|\||::|[=!<>]=|[-@(){}[\];,.:?<>!+*=]/suy;
const opening = new Set(['(', '[', '{']);
const closing = new Set([')', ']', '}']);
// Each of these may put one expression inside another.
const stepping = new Set('( [ { . ! && || + - * if when unless'.split(' '));

/**
 * Returns what keeps a set from being shown to Cedar: size, characters, nesting. A deep policy would break the instance
 * that reads it, so this runs first and without Cedar.
 */
export function scanPolicies(files: readonly PolicyFile[]): readonly Finding[] {
  const findings = [...scanNames(files), ...scanSizes(files)];
  if (findings.length > 0) return findings;
  if (countPolicies(files) > policyLimits.policies)
    return [toFinding(files, `A set holds up to ${policyLimits.policies} policies.`)];
  return files.map(scanFile).flatMap((scan) => scan.findings);
}

/** Returns how many policies the files hold. */
export function countPolicies(files: readonly PolicyFile[]): number {
  return files.map(scanFile).reduce((sum, { policies }) => sum + policies, 0);
}

function scanNames(files: readonly PolicyFile[]): readonly Finding[] {
  const names = new Set(files.map(({ name }) => name));
  if (names.size !== files.length) return [toFinding(files, 'Give each file its own name.')];
  return files
    .filter(({ name }) => !namePattern.test(name))
    .map((file) => toFinding([file], 'Name the file with letters, digits, dots, dashes: *.cedar.'));
}

function scanSizes(files: readonly PolicyFile[]): readonly Finding[] {
  const { fileBytes, setBytes } = policyLimits;
  if (files.length > policyLimits.files)
    return [toFinding(files, `A set holds up to ${policyLimits.files} files.`)];
  const sizes = files.map(({ text }) => Buffer.byteLength(text));
  if (sizes.reduce((sum, size) => sum + size, 0) > setBytes)
    return [toFinding(files, `A set holds up to ${setBytes / 1024} KiB.`)];
  return files
    .filter((_file, index) => (sizes[index] ?? 0) > fileBytes)
    .map((file) => toFinding([file], `A file holds up to ${fileBytes / 1024} KiB: split it.`));
}

type Scan = { readonly policies: number; readonly findings: readonly Finding[] };

function scanFile({ name, text }: PolicyFile): Scan {
  let policies = 0;
  let depth: Depth = { nesting: 0, steps: 0 };
  for (const { token, index } of readTokens(text)) {
    depth = addToken(depth, token);
    const detail = findExcess(depth, token);
    if (detail !== undefined)
      return { policies, findings: [{ file: name, line: findLine(text, index), detail }] };
    if (token !== ';' || depth.nesting > 0) continue;
    policies += 1;
    depth = { nesting: 0, steps: 0 };
  }
  return { policies, findings: [] };
}

/** How deep a policy is so far. An expression is never deeper than its steps. */
type Depth = { readonly nesting: number; readonly steps: number };

function addToken({ nesting, steps }: Depth, token = ''): Depth {
  return {
    nesting: nesting + Number(opening.has(token)) - Number(closing.has(token)),
    steps: steps + Number(stepping.has(token)),
  };
}

function findExcess({ nesting, steps }: Depth, token: string | undefined): string | undefined {
  if (token === undefined) return 'This character has no place in a policy.';
  if (nesting < 0) return 'This bracket closes nothing.';
  if (nesting > policyLimits.nesting)
    return `Brackets stand up to ${policyLimits.nesting} deep: split the policy.`;
  if (steps > policyLimits.steps)
    return `A policy has up to ${policyLimits.steps} operators and brackets: split it.`;
  return undefined;
}

type Token = { readonly token: string | undefined; readonly index: number };

function* readTokens(text: string): Generator<Token, void> {
  const pattern = new RegExp(tokenPattern);
  // A lone surrogate would make Cedar throw.
  if (!text.isWellFormed()) yield { token: undefined, index: 0 };
  while (pattern.lastIndex < text.length) {
    const index = pattern.lastIndex;
    const token = pattern.exec(text)?.[0];
    yield { token, index };
    if (token === undefined) return;
  }
}

/** Returns the line of a position in a text, counted from 1. */
export function findLine(text: string, index: number): number {
  return text.slice(0, Math.max(0, index)).split('\n').length;
}

function toFinding([file]: readonly PolicyFile[], detail: string): Finding {
  return { file: file?.name ?? '', line: 1, detail };
}
