import * as z from 'zod';
import type { Broker } from './broker.ts';
import type { Caller } from './caller.ts';
import { terminateSession } from './end-session.ts';
import { readLiveSessions } from './live-sessions.ts';
import { requireRole } from './role.ts';
import type { Session } from './session.ts';

// One call ends within the time that a caller waits; whoever has more to end calls again.
const mostPerCall = 100;

/** `POST /api/terminations`: end all that the filter names. At least one member must be given. */
export const terminateRequestShape = z
  .strictObject({
    caller: z.string().min(1).max(300).exactOptional(),
    target: z.guid().exactOptional(),
    subscription: z.string().min(1).max(100).exactOptional(),
    app: z.string().min(1).max(300).exactOptional(),
  })
  .refine((filter) => Object.keys(filter).length !== 0, 'Name at least one of the members.');

export type TerminateRequest = z.infer<typeof terminateRequestShape>;

export const terminateAnswerShape = z.strictObject({
  /** The sessions that this call ended. */
  terminated: z.array(z.uuid()),
  /** Whether there are more; call again. */
  hasMore: z.boolean(),
});

/** Ends every open session that meets the whole filter, up to a hundred. Needs the role `Session.Terminate.All`. */
export async function terminateSessions(
  broker: Broker,
  caller: Caller,
  filter: TerminateRequest,
): Promise<z.infer<typeof terminateAnswerShape>> {
  requireRole(caller, 'Session.Terminate.All');
  const terminated: string[] = [];
  for await (const session of readLiveSessions(broker)) {
    if (!matches(session, filter)) continue;
    if (terminated.length === mostPerCall) return { terminated, hasMore: true };
    await terminateSession(broker, caller, session.id);
    terminated.push(session.id);
  }
  return { terminated, hasMore: false };
}

function matches(
  { input, onBehalfOf }: Session,
  { caller, target, subscription, app }: TerminateRequest,
): boolean {
  const pairs = [
    // What others do in the name of a caller is the caller's too.
    [caller, [input.caller.id, onBehalfOf?.id]],
    [target, [input.target.id]],
    [subscription, [input.target.subscription]],
    [app, [input.caller.app]],
  ] as const;
  return pairs.every(
    ([wanted, ids]) =>
      wanted === undefined || ids.some((id) => id?.toLowerCase() === wanted.toLowerCase()),
  );
}
