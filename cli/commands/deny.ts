import type { Context } from '../context.ts';
import { decideRequest } from '../decide-request.ts';
import type { DecideOptions } from '../decide-request.ts';

/** Denies a request of somebody else. One denial is enough. */
export async function denyRequest(
  context: Context,
  id: string,
  options: Omit<DecideOptions, 'duration'>,
): Promise<void> {
  await decideRequest(context, id, 'deny', options);
}
