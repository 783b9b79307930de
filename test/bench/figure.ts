/** One thing that was measured: the middle and the spread of its samples, in one unit. */
export type Figure = {
  readonly name: string;
  readonly unit: string;
  readonly samples: number;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** Absent below 100 samples, where it would be the maximum by another name. */
  readonly p99?: number;
  /** The median, divided by that of another figure of the same run. */
  readonly ratio?: { readonly value: number; readonly to: string };
};

/** What one part of the benchmark found. A part that could not be measured has a note that says why. */
export type Part = {
  readonly title: string;
  readonly figures: readonly Figure[];
  readonly notes: readonly string[];
};

/** What a figure is of, and the figure to compare it with. */
export type Measured = {
  readonly name: string;
  readonly unit: string;
  readonly base?: Figure;
};

/** Returns the figure of some samples. Throws when there is none. */
export function toFigure({ name, unit, base }: Measured, samples: readonly number[]): Figure {
  const sorted = samples.toSorted((a, b) => a - b);
  const [min] = sorted;
  const max = sorted.at(-1);
  if (min === undefined || max === undefined) throw new Error(`nothing was measured of ${name}`);
  const median = (pick(sorted, (sorted.length - 1) >> 1) + pick(sorted, sorted.length >> 1)) / 2;
  return {
    name,
    unit,
    samples: sorted.length,
    median,
    min,
    max,
    ...(sorted.length < 100 ? {} : { p99: pick(sorted, Math.ceil(sorted.length * 0.99) - 1) }),
    ...(base === undefined ? {} : { ratio: { value: median / base.median, to: base.name } }),
  };
}

function pick(sorted: readonly number[], index: number): number {
  return sorted[index] ?? Number.NaN;
}
