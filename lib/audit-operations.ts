import * as z from 'zod';
import { checkpointListShape, checkpointQueryShape } from './audit-checkpoints.ts';
import { exportQueryShape } from './audit-export.ts';

/** The operations about the audit log as a whole. */
export const auditOperations = [
  {
    path: '/api/audit/export',
    method: 'GET',
    summary: 'Export the audit log of some days, page by page, for an offline verifier.',
    query: exportQueryShape,
    media: 'application/x-ndjson',
    answers: { 200: z.string() },
  },
  {
    path: '/api/audit/checkpoints',
    method: 'GET',
    summary: 'List checkpoints: what is sealed, and the anchors for a verification.',
    query: checkpointQueryShape,
    answers: { 200: checkpointListShape },
  },
] as const;
