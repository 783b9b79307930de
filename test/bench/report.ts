import { arch, availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os';
import type { Figure, Part } from './figure.ts';

/** Where and how a run was made: what its figures depend on. */
export type Machine = {
  readonly time: string;
  readonly node: string;
  readonly system: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  /** How many processes wanted a core in the minute before the run: near 0 on a quiet machine. */
  readonly loadBefore: number;
};

/** Describes the machine, without its name or the user's. */
export function describeMachine(now: Date): Machine {
  return {
    time: now.toISOString(),
    node: process.version,
    system: `${type()} ${release()} ${arch()}`,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    loadBefore: loadavg()[0] ?? Number.NaN,
  };
}

/** Returns a run as text for people. */
export function formatRun(machine: Machine, parts: readonly Part[]): string {
  const { time, node, system, cpu, cores, memoryGiB, loadBefore } = machine;
  const facts = [
    time,
    `Node.js ${node}, ${system}`,
    `${cpu}, ${String(cores)} cores, ${String(memoryGiB)} GiB, load ${loadBefore.toFixed(2)} before the run`,
  ];
  return [facts.join('\n'), ...parts.map(formatPart)].join('\n\n');
}

const columns = ['', 'median', 'unit', 'min–max', 'p99', 'samples', 'ratio'];

function formatPart({ title, figures, notes }: Part): string {
  const lines = figures.length === 0 ? [] : alignColumns([columns, ...figures.map(toCells)]);
  return [title, ...lines, ...notes.map((note) => `  ${note}`)].join('\n');
}

function toCells({ name, unit, samples, median, min, max, p99, ratio }: Figure): readonly string[] {
  return [
    name,
    formatNumber(median),
    unit,
    samples === 1 ? '' : `${formatNumber(min)}–${formatNumber(max)}`,
    p99 === undefined ? '' : formatNumber(p99),
    String(samples),
    ratio === undefined ? '' : `${formatNumber(ratio.value)} × ${ratio.to}`,
  ];
}

/** Three digits that mean something; more would promise a precision that no run has. */
function formatNumber(value: number): string {
  if (value === 0 || 100 <= value) return String(Math.round(value));
  return value.toFixed(Math.max(0, Math.min(4, 2 - Math.floor(Math.log10(value)))));
}

function alignColumns(table: readonly (readonly string[])[]): readonly string[] {
  const widths = columns.map((_, i) => Math.max(...table.map((cells) => cells[i]?.length ?? 0)));
  return table.map((cells) => {
    const padded = cells.map((cell, i) =>
      isText(i) ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0),
    );
    return `  ${padded.join('  ')}`.trimEnd();
  });
}

function isText(column: number): boolean {
  return ['', 'unit', 'ratio'].includes(columns[column] ?? '');
}
