import type { Broker } from '../lib/broker.ts';
import type { Answer } from './answer.ts';

/** Answers with one page of a list: its values, and the link of the next page when there is one. */
export function toPage(
  broker: Broker,
  path: string,
  page: {
    readonly value: readonly unknown[];
    readonly after?: string;
    /** Further members of the answer. */
    readonly more?: Readonly<Record<string, unknown>>;
    readonly query: URLSearchParams;
  },
): Answer {
  const { value, after, query, more = {} } = page;
  if (after === undefined) return { status: 200, body: { value, ...more } };
  const next = new URL(path, broker.url);
  next.search = new URLSearchParams([...query].filter(([name]) => name !== 'after')).toString();
  next.searchParams.set('after', after);
  return { status: 200, body: { value, nextLink: next.href, ...more } };
}
