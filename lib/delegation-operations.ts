import * as z from 'zod';
import { delegationRequestShape, delegationViewShape } from './delegation.ts';
import { delegationQueryShape } from './list-delegations.ts';
import type { Operation } from './openapi.ts';

const delegationListShape = z.strictObject({
  value: z.array(delegationViewShape),
  nextLink: z.url().exactOptional(),
});

/** The operations by which a person lets a workload act for them. */
export const delegationOperations: readonly Operation[] = [
  {
    path: '/api/delegations',
    method: 'GET',
    summary: 'List delegations, newest first.',
    query: delegationQueryShape,
    answers: { 200: delegationListShape },
  },
  {
    path: '/api/delegations/{id}',
    method: 'PUT',
    summary: 'Let a workload ask for sessions in the name of the caller. Safe to repeat.',
    body: delegationRequestShape,
    answers: { 200: delegationViewShape, 201: delegationViewShape },
  },
  {
    path: '/api/delegations/{id}',
    method: 'GET',
    summary: 'Read a delegation that the caller has given or received.',
    answers: { 200: delegationViewShape },
  },
  {
    path: '/api/delegations/{id}',
    method: 'DELETE',
    summary: 'Revoke a delegation, and end what is open under it.',
    answers: { 204: undefined },
  },
];
