/** Tells how a row of steps goes: one line for each, once it is done, with its milliseconds. */
export type Progress = {
  /** Begins a step; the one before it is done. */
  readonly begin: (step: string) => void;
  /** The last step is done, and has a result to tell. */
  readonly end: (result?: string) => void;
};

/** Returns a progress that prints lines of text alone, so that it reads the same in a terminal and in a log. */
export function createProgress(print: (line: string) => void): Progress {
  let current: { readonly step: string; readonly from: number } | undefined;
  const end = (result = ''): void => {
    if (current === undefined) return;
    const milliseconds = String(Math.round(performance.now() - current.from)).padStart(6);
    print(`  ${current.step.padEnd(20)}${milliseconds} ms  ${result}`.trimEnd());
    current = undefined;
  };
  return {
    begin: (step) => {
      end();
      current = { step, from: performance.now() };
    },
    end,
  };
}
