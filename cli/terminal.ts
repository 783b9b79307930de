/** Where a command writes. Nothing that comes from the network can move the cursor or hide text. */
export type Terminal = {
  /** Writes one line of the result to standard output. */
  readonly print: (line: string) => void;
  /** Writes one line of JSON to standard output. */
  readonly printJson: (value: unknown) => void;
  /** Writes one line about what happens to standard error. */
  readonly note: (line: string) => void;
  /**
   * Shows on standard error what is waited for, and for how long by now, in place of what was shown before; undefined
   * removes it. Where that is no terminal, each new line is a note, without the time.
   */
  readonly show: (line: string | undefined, time?: string) => void;
};

type Sink = { readonly write: (text: string) => unknown };

/** A sink that may be a terminal, such as `process.stderr`. */
type Screen = Sink & { readonly isTTY?: boolean; readonly columns?: number };

// Control, bidirectional and line-separating characters, and lone surrogates: a name or a message could
// forge a line of output with them.
const deceptive = /[\p{Cc}\p{Cs}\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069\u2028\u2029]/gu;

// Back to the start of the line, and clear it (ECMA-48, EL).
const clearLine = '\r\u001B[K';

const usualColumns = 80;

/** Returns a terminal on two sinks, which are asked for at the first write: `connect` never opens standard output. */
export function createTerminal(output: () => Sink, errors: () => Screen): Terminal {
  let shown: string | undefined;
  const note = (line: string): void => {
    errors().write(`${toPlainLine(line)}\n`);
  };
  const clear = (): void => {
    if (shown === undefined || errors().isTTY !== true) return;
    errors().write(clearLine);
    shown = undefined;
  };
  return {
    print: (line) => {
      clear();
      output().write(`${toPlainLine(line)}\n`);
    },
    printJson: (value) => {
      clear();
      output().write(`${escapeJson(JSON.stringify(value))}\n`);
    },
    note: (line) => {
      clear();
      note(line);
    },
    show: (line, time) => {
      if (line === undefined) clear();
      else if (errors().isTTY === true)
        errors().write(clearLine + toStatus(line, time, errors().columns ?? usualColumns));
      else if (line !== shown) note(line);
      shown = line;
    },
  };
}

/** Returns the text without characters that could deceive its reader. */
function toPlainLine(text: string): string {
  return text.replaceAll(deceptive, ' ');
}

// A line that wraps could not be cleared again.
function toStatus(line: string, time: string | undefined, columns: number): string {
  const suffix = time === undefined ? '' : ` (${time})`;
  const room = Math.max(0, columns - 1 - suffix.length);
  return toPlainLine(line).slice(0, room) + suffix;
}

function escapeJson(json: string): string {
  return json.replaceAll(
    deceptive,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
