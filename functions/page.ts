import type { Broker } from '../lib/broker.ts';
import type { Answer } from './answer.ts';

/** Answers with one page of a list: its values, and the link of the next page when there is one. */
export function toPage(
  broker: Broker,
  path: string,
  page: {
    readonly value: readonly unknown[];
    readonly after?: string;
    readonly query: URLSearchParams;
  },
): Answer {
  const { value, after, query } = page;
  if (after === undefined) return { status: 200, body: { value } };
  const next = new URL(path, broker.url);
  next.search = new URLSearchParams([...query].filter(([name]) => name !== 'after')).toString();
  next.searchParams.set('after', after);
  return { status: 200, body: { value, nextLink: next.href } };
}
