import { feedQueryShape, feedShape } from './audit-feed.ts';

/** The operation by which programs follow the audit log. */
export const feedOperations = [
  {
    path: '/api/audit/feed',
    method: 'GET',
    summary: 'Follow the audit log: everything that was recorded since a cursor, at least once.',
    query: feedQueryShape,
    answers: { 200: feedShape },
  },
] as const;
