import { approvalRequestShape, pendingListShape } from './approval-view.ts';
import type { Operation } from './openapi.ts';
import { operationViewShape } from './operation-view.ts';
import { sessionViewShape } from './session-view.ts';

/** The operations by which sessions are approved and waited for. */
export const approvalOperations: readonly Operation[] = [
  {
    path: '/api/approvals',
    method: 'GET',
    summary: 'List what the caller may approve or deny, oldest first.',
    answers: { 200: pendingListShape },
  },
  {
    path: '/api/sessions/{id}/approval',
    method: 'POST',
    summary: 'Approve or deny what a session waits for, once. Needs If-Match with its etag.',
    isConditional: true,
    body: approvalRequestShape,
    answers: { 200: sessionViewShape },
  },
  {
    path: '/api/operations/{id}',
    method: 'GET',
    summary: 'Tell how far a request has come that takes its time.',
    answers: { 200: operationViewShape },
  },
];
