/** Where a command writes. Nothing that comes from the network can move the cursor or hide text. */
export type Terminal = {
  /** Writes one line of the result to standard output. */
  readonly print: (line: string) => void;
  /** Writes one line of JSON to standard output. */
  readonly printJson: (value: unknown) => void;
  /** Writes one line about what happens to standard error. */
  readonly note: (line: string) => void;
};

type Sink = { readonly write: (text: string) => unknown };

// Control, bidirectional and line-separating characters, and lone surrogates: a name or a message could
// forge a line of output with them.
const deceptive = /[\p{Cc}\p{Cs}\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069\u2028\u2029]/gu;

/** Returns a terminal on two sinks, which are asked for at the first write: `connect` never opens standard output. */
export function createTerminal(output: () => Sink, errors: () => Sink): Terminal {
  return {
    print: (line) => output().write(`${toPlainLine(line)}\n`),
    printJson: (value) => output().write(`${escapeJson(JSON.stringify(value))}\n`),
    note: (line) => errors().write(`${toPlainLine(line)}\n`),
  };
}

/** Returns the text without characters that could deceive its reader. */
function toPlainLine(text: string): string {
  return text.replaceAll(deceptive, ' ');
}

function escapeJson(json: string): string {
  return json.replaceAll(
    deceptive,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
