import type { Context } from '../context.ts';
import { decideRequest } from '../decide-request.ts';
import type { DecideOptions } from '../decide-request.ts';

/** Approves a request of somebody else, for as long as it asks for or for less. */
export async function approveRequest(
  context: Context,
  id: string,
  options: DecideOptions,
): Promise<void> {
  await decideRequest(context, id, 'approve', options);
}
