import { CommandError } from './command-error.ts';
import { exitCodes } from './exit-code.ts';
import type { Settings } from './settings.ts';

/** How this very command is started again: the program and its first arguments. */
export type Invocation = { readonly program: string; readonly script: string };

/**
 * Returns the words as a `ProxyCommand` of OpenSSH, which gives it to the user's shell after it has replaced its
 * `%` tokens. A word `%p` stays a token.
 */
export function formatProxyCommand(words: readonly string[], platform: NodeJS.Platform): string {
  const quote = platform === 'win32' ? quoteForWindows : quoteForShell;
  return words.map((word) => (word === '%p' ? word : quote(word).replaceAll('%', '%%'))).join(' ');
}

/** Returns the global options that make another run of the command see the same broker as the same caller. */
export function toGlobalArguments(settings: Settings, broker: URL): readonly string[] {
  return [
    '--broker',
    broker.href,
    ...(settings.profile === 'default' ? [] : ['--profile', settings.profile]),
    ...(settings.caFile === undefined ? [] : ['--ca', settings.caFile]),
    ...(settings.audience === undefined ? [] : ['--audience', settings.audience]),
  ];
}

function quoteForShell(word: string): string {
  refuseControl(word);
  return /^[\w@+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

function quoteForWindows(word: string): string {
  refuseControl(word);
  if (/^[\w@+=:,./\\-]+$/.test(word)) return word;
  // Two programs read the line, `cmd` and the one that it starts, and no quoting means the same to both.
  if (/["%&|<>^]/.test(word))
    throw new CommandError(exitCodes.usage, `On Windows use text without " % & | < > ^ for ssh.`);
  // A backslash before a quote would take away its meaning.
  return `"${word.replace(/\\+$/, '$&$&')}"`;
}

// A line break would end the option, and what follows would be read as the next one.
function refuseControl(word: string): void {
  if (/\p{Cc}/u.test(word))
    throw new CommandError(exitCodes.usage, 'Use plain text without control characters.');
}
