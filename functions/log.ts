import type { Log } from '../lib/broker.ts';
import { escapeDeceptive } from '../lib/deceptive.ts';

/**
 * Writes one JSON line to the standard output, which the host passes on. An error becomes the chain of its messages.
 * What could break the line, or hide a part of it, is escaped.
 */
export const log: Log = (event, facts) => {
  const line = { time: new Date().toISOString(), event, ...facts };
  const json = JSON.stringify(line, (_name, value: unknown) =>
    value instanceof Error ? toChain(value) : value,
  );
  // oxlint-disable-next-line no-console -- the worker forwards console lines, and nothing else, to the host's log
  console.log(escapeDeceptive(json));
};

// Far more than any real chain, and a bound for one that is a circle.
const maxLinks = 10;

/** Returns the messages of an error and of what caused it, outermost first. */
export function toChain(failure: unknown): readonly string[] {
  const chain: string[] = [];
  let link = failure;
  while (link !== undefined && chain.length < maxLinks) {
    chain.push(link instanceof Error ? `${link.name}: ${link.message}` : 'not an error');
    link = link instanceof Error ? link.cause : undefined;
  }
  return chain;
}
