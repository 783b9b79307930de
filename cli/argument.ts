import { exitCodes } from './exit-code.ts';
import { CommandError } from './command-error.ts';

const grammar = /^(?:(?<hours>\d{1,4})h)?(?:(?<minutes>\d{1,6})m)?(?:(?<seconds>\d{1,8})s)?$/;

/** Returns the seconds of a duration such as `90s`, `30m` or `1h30m`, or fails with a usage error. */
export function parseDuration(text: string): number {
  const groups = grammar.exec(text)?.groups;
  if (text === '' || groups === undefined)
    throw new CommandError(
      exitCodes.usage,
      `Write a duration such as 30m or 1h30m, not '${text}'.`,
    );
  const { hours = '0', minutes = '0', seconds = '0' } = groups;
  return Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
}

/** Returns a TCP port, or fails with a usage error. Zero is a port only where any free one will do. */
export function parsePort(text: string, lowest: 0 | 1 = 1): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (lowest <= port && port <= 65_535) return port;
  throw new CommandError(exitCodes.usage, `Write a port from ${lowest} to 65535, not '${text}'.`);
}
