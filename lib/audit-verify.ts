import type { EndLine, ExportLine, HeaderLine } from './audit-export-line.ts';
import { parseLine } from './audit-export-line.ts';
import { ChainsVerifier, type Unsealed } from './audit-verify-chains.ts';
import type { Anchor, LastCheckpoint } from './audit-verify-checkpoints.ts';
import { CheckpointVerifier } from './audit-verify-checkpoints.ts';
import type { AuditFault } from './audit-verify-fault.ts';
import type { TrustedRoots } from './root-key.ts';

/** Whose word counts, and a checkpoint that the file must hold. Nothing that stands in a file adds to it. */
export type AuditTrust = { readonly roots: TrustedRoots; readonly anchor?: Anchor };

/** What a file without a fault holds. */
type AuditSummary = {
  readonly issuer: string;
  /** The first and the last day (UTC) whose chains it holds. */
  readonly from: string;
  readonly to: string;
  /** When it was exported. */
  readonly time: string;
  readonly entries: number;
  readonly chains: number;
  readonly checkpoints: number;
  /** How many of the entries a checkpoint in the file seals. */
  readonly sealed: number;
  /** Chains of these days that retention has removed, as a checkpoint says. */
  readonly pruned: number;
  /** Nothing is known of what was sealed after it. */
  readonly last?: LastCheckpoint;
  readonly unsealed?: Unsealed;
};

/** Whether a file is whole, or the first thing that is wrong with it, and on which line, from 1. */
export type AuditVerdict =
  | (AuditSummary & { readonly outcome: 'whole' })
  | { readonly outcome: 'broken'; readonly line: number; readonly fault: AuditFault };

/**
 * Verifies an export, line by line (each without its line feed), by the steps of `docs/audit-format.md`. Stops at the
 * first fault. Holds no entry: its memory grows with the chains and the heads of checkpoints, and not with the entries.
 */
export async function verifyExport(
  lines: AsyncIterable<string>,
  trust: AuditTrust,
): Promise<AuditVerdict> {
  const verifier = new ExportVerifier(trust);
  for await (const text of lines) {
    const found = verifier.take(text);
    if (found !== undefined) return { outcome: 'broken', ...found };
  }
  return verifier.end();
}

type Kind = Exclude<ExportLine['line'], 'next'>;

/** What is wrong, and on which line. */
type Found = { readonly line: number; readonly fault: AuditFault };

/** Something that is missing, unless it comes later in the same part of the file: then it is in the wrong place. */
type Gap = { readonly found: Found; readonly part: string; readonly missing: number };

/** What may come after each kind of line. `next` only parts the pages of an export, and may stand anywhere. */
const followers: Readonly<Record<Kind | 'nothing', readonly Kind[]>> = {
  nothing: ['header'],
  header: ['checkpoint', 'chain', 'end'],
  checkpoint: ['checkpoint', 'chain', 'end'],
  chain: ['entry', 'chain', 'end'],
  entry: ['entry', 'chain', 'end'],
  end: [],
};

class ExportVerifier {
  readonly #trust: AuditTrust;
  readonly #counted = { header: 0, checkpoint: 0, chain: 0, entry: 0, end: 0 };
  #number = 0;
  #before: Kind | 'nothing' = 'nothing';
  #content: Content | undefined;
  #gap: Gap | undefined;

  constructor(trust: AuditTrust) {
    this.#trust = trust;
  }

  take(text: string): Found | undefined {
    this.#number += 1;
    const line = parseLine(text);
    if (this.#gap !== undefined) return this.#lookOn(this.#gap, line);
    if (line?.line === 'next') return undefined;
    if (line === undefined || !followers[this.#before].includes(line.line))
      return this.#find({
        code: 'file-malformed',
        detail: `Line ${this.#number} is not one of an export, or not in its place.`,
      });
    const fault = this.#takeLine(line);
    this.#before = line.line;
    this.#counted[line.line] += 1;
    if (fault === undefined) return undefined;
    const found = this.#find(fault);
    this.#gap = findGap(line, found);
    return this.#gap === undefined ? found : undefined;
  }

  end(): AuditVerdict {
    if (this.#gap !== undefined) return { outcome: 'broken', ...this.#gap.found };
    if (this.#before !== 'end' || this.#content === undefined) {
      const detail = 'The file has no end: it was cut off, or its export was not finished.';
      return { outcome: 'broken', ...this.#find({ code: 'file-truncated', detail }) };
    }
    const { checkpoint, chain, entry } = this.#counted;
    const counts = { entries: entry, chains: chain, checkpoints: checkpoint };
    return { outcome: 'whole', ...counts, ...this.#content.summarise() };
  }

  #takeLine(line: Exclude<ExportLine, { line: 'next' }>): AuditFault | undefined {
    if (line.line === 'header') this.#content = new Content(line, this.#trust);
    const content = this.#content;
    if (content === undefined || line.line === 'header') return undefined;
    return line.line === 'end' ? (content.end() ?? this.#findMiscount(line)) : content.take(line);
  }

  #findMiscount({ entries, checkpoints, chains }: EndLine): AuditFault | undefined {
    const { entry, checkpoint, chain } = this.#counted;
    if (entries === entry && checkpoints === checkpoint && chains === chain) return undefined;
    const detail = `The file holds ${entry} entries, ${checkpoint} checkpoints and ${chain} chains, and its end says ${entries}, ${checkpoints} and ${chains}.`;
    return { code: 'file-miscounted', detail };
  }

  #lookOn({ found, part, missing }: Gap, line: ExportLine | undefined): Found | undefined {
    if (line?.line === 'next') return undefined;
    const place = line && findPlace(line);
    if (place === undefined || place.part !== part) return found;
    if (place.at !== missing) return undefined;
    const detail = `${place.name} stands after a later one, that of line ${found.line}.`;
    return this.#find({ ...found.fault, code: `${place.kind}-misplaced`, detail });
  }

  #find(fault: AuditFault): Found {
    return { line: this.#number, fault };
  }
}

function findGap(line: ExportLine, found: Found): Gap | undefined {
  const { code, sequence, checkpoint } = found.fault;
  const place = findPlace(line);
  const missing = sequence ?? checkpoint;
  if (place === undefined || missing === undefined || code !== `${place.kind}-missing`)
    return undefined;
  return { found, part: place.part, missing };
}

type Place = {
  readonly kind: 'entry' | 'checkpoint';
  /** What is numbered together. */
  readonly part: string;
  readonly at: number;
  readonly name: string;
};

function findPlace(line: ExportLine): Place | undefined {
  if (line.line === 'checkpoint')
    return { kind: 'checkpoint', part: '', at: line.n, name: `Checkpoint ${line.n}` };
  if (line.line !== 'entry') return undefined;
  const { chain, seq } = line;
  return { kind: 'entry', part: chain, at: seq, name: `Entry ${seq} of chain ${chain}` };
}

type ContentLine = Exclude<ExportLine, { line: 'header' | 'end' | 'next' }>;

/** What stands between the header and the end of a file. */
class Content {
  readonly #header: HeaderLine;
  readonly #checkpoints: CheckpointVerifier;
  readonly #chains: ChainsVerifier;

  constructor(header: HeaderLine, { roots, anchor }: AuditTrust) {
    const days = { from: header.from.replaceAll('-', ''), to: header.to.replaceAll('-', '') };
    const trust = { roots, issuer: header.issuer };
    this.#header = header;
    this.#checkpoints = new CheckpointVerifier(trust, days, anchor);
    this.#chains = new ChainsVerifier(trust, days, this.#checkpoints);
  }

  take(line: ContentLine): AuditFault | undefined {
    if (line.line === 'checkpoint') return this.#checkpoints.take(line);
    if (line.line === 'entry') return this.#chains.take(line);
    return this.#checkpoints.end() ?? this.#chains.open(line);
  }

  end(): AuditFault | undefined {
    return this.#checkpoints.end() ?? this.#chains.end();
  }

  summarise(): Omit<AuditSummary, 'entries' | 'chains' | 'checkpoints'> {
    const { issuer, from, to, time } = this.#header;
    const { sealed, pruned, unsealed } = this.#chains;
    const { last } = this.#checkpoints;
    return {
      issuer,
      from,
      to,
      time,
      sealed,
      pruned,
      ...(last === undefined ? {} : { last: { n: last.n, hash: last.hash, time: last.time } }),
      ...(unsealed === undefined ? {} : { unsealed }),
    };
  }
}
