import type { PendingView } from '../lib/approval-view.ts';
import type { Terms } from '../lib/terms.ts';
import { formatDuration, formatTable, formatTime, quote } from './format.ts';
import { describeVotes } from './progress-sentence.ts';

/** Returns the lines of a table of requests, the text of others last and in quotes. */
export function formatRequests(requests: readonly PendingView[]): readonly string[] {
  const heading = ['ID', 'KIND', 'TARGET', 'SERVICE', 'FOR', 'UNTIL', 'CALLER', 'REASON'];
  return formatTable(heading, requests.map(toRow));
}

/** Returns the lines that tell an approver exactly what is asked for. Nobody else's text stands at the start of a line. */
export function describeRequest(request: PendingView): readonly string[] {
  const { caller, change, durationSeconds, expiresAt, id, kind, needs, reason, target } = request;
  const { onBehalfOf } = request;
  const what = kind === 'session' ? 'a session' : 'more time for a session';
  return [
    `Request ${id} for ${what}`,
    ...toLines('caller', [`${quote(caller.name)} (${caller.id})`]),
    ...toLines(
      'in name',
      onBehalfOf === undefined ? [] : [`of ${quote(onBehalfOf.name)} (${onBehalfOf.id})`],
    ),
    ...toLines('target', [`${quote(target.name)} (${target.id})`]),
    ...toLines('service', [`${request.protocol}:${request.port}`]),
    ...toLines('for', [formatDuration(durationSeconds)]),
    ...toLines('reason', reason === undefined ? [] : [quote(reason)]),
    ...toLines('change', change === undefined ? [] : [quote(change)]),
    ...toLines('terms', describeTerms(request.terms)),
    ...toLines(
      'needs',
      needs.map(({ group, count }) => `approval by ${count} of group ${group}`),
    ),
    ...toLines('votes', describeVotes(request)),
    ...toLines('asked', [request.requestedAt]),
    ...toLines('until', [expiresAt]),
  ];
}

/** Returns a text for each term, in the words of the API. */
export function describeTerms(terms: Terms): readonly string[] {
  return Object.entries(terms).map(([term, value]) => {
    const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
    return `${term} ${text}`;
  });
}

function toRow(request: PendingView): readonly string[] {
  const { caller, durationSeconds, expiresAt, id, kind, port, protocol, reason, target } = request;
  return [
    id,
    kind,
    quote(target.name),
    `${protocol}:${port}`,
    formatDuration(durationSeconds),
    formatTime(new Date(expiresAt)).slice(0, 5),
    quote(caller.name),
    reason === undefined ? '' : quote(reason),
  ];
}

function toLines(name: string, values: readonly string[]): readonly string[] {
  return values.map((value, index) => `  ${(index === 0 ? name : '').padEnd(8)}${value}`);
}
