import * as z from 'zod';
import { progresses } from './session-view.ts';

/** The states of a status monitor in the Azure REST guidelines. */
const operationStatuses = ['NotStarted', 'Running', 'Succeeded', 'Failed', 'Canceled'] as const;

/** `GET /api/operations/{id}`: the status monitor of a request that takes its time. */
export const operationViewShape = z.strictObject({
  /** The id of the session, or that id and `.extension`. */
  id: z.string(),
  status: z.enum(operationStatuses),
  createdAt: z.iso.datetime(),
  progress: z.enum(progresses).exactOptional(),
  /** The session, which is to be read once the status is `Succeeded`. */
  resourceLocation: z.url(),
  error: z.strictObject({ code: z.string(), message: z.string() }).exactOptional(),
});

export type OperationView = z.infer<typeof operationViewShape>;
