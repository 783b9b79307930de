import type { Approval } from './approval.ts';
import { findApprovedSeconds, toApprovals } from './approval.ts';
import { extendApproved } from './approve-extension.ts';
import type { Broker } from './broker.ts';
import { endSession } from './end-session.ts';
import { toDeadline } from './grant-session.ts';
import { preparingSeconds } from './hold-session.ts';
import { prepareSession } from './prepare-session.ts';
import { toDueRow, toPendingRow, toPreparingRow } from './session-index.ts';
import type { Session, StoredSession } from './session.ts';
import { hasEnded, replaceSession } from './session.ts';
import { sendSignal } from './signal.ts';

// Whoever counts a denial ends the session within seconds; after this long it has died, and the timer ends it.
const denyingSeconds = 60;

/**
 * Writes an approval with a vote more, and all that follows from it at once; undefined when somebody else has written
 * since. What is to be done then is for `carryOut`, and comes about without it as well, within minutes.
 */
export async function countVote(
  broker: Broker,
  stored: StoredSession,
  approval: Approval,
): Promise<Session | undefined> {
  if (approval.kind === 'extension' && approval.outcome === 'approved')
    return extendApproved(broker, stored, approval);
  const counted = toCounted(broker, stored.session, approval);
  // The places in the lists first: what is in none is never found again.
  const rows = [
    ...(counted.state === 'preparing' ? [toPreparingRow(counted)] : []),
    ...(counted.deadline === stored.session.deadline ? [] : [toDueRow(counted)]),
  ];
  await Promise.all(rows.map(async (row) => broker.state.insert(row)));
  const outcome = await replaceSession(broker, { session: counted, etag: stored.etag });
  return outcome === 'replaced' ? counted : undefined;
}

/** Carries out what has been decided about the latest request of a session, and returns the session. Safe to repeat. */
export async function carryOut(broker: Broker, session: Session): Promise<Session> {
  const approval = session.extension ?? session.approval;
  if (approval?.outcome === undefined) return session;
  const { partition, row } = toPendingRow(session, approval);
  await broker.state.remove(partition, row);
  if (hasEnded(session)) return session;
  const { id, deadline } = session;
  if (approval.kind === 'extension') {
    if (approval.outcome === 'approved')
      await sendSignal(broker, { order: 'deadline', session: id, deadline });
    return session;
  }
  if (approval.outcome === 'denied') return endSession(broker, session, { endReason: 'denied' });
  return (await prepareSession(broker, id)) ?? session;
}

function toCounted(broker: Broker, session: Session, approval: Approval): Session {
  if (approval.kind === 'extension') return { ...session, extension: approval };
  if (approval.outcome === 'approved') return toApproved(broker, session, approval);
  const deadline = toDeadline(broker.now(), denyingSeconds);
  return { ...session, approval, ...(approval.outcome === 'denied' ? { deadline } : {}) };
}

/** Returns the session as its approvers leave it: to be made ready, for no longer than they said. */
function toApproved(broker: Broker, session: Session, approval: Approval): Session {
  const { input } = session;
  const durationSeconds = findApprovedSeconds(approval);
  const context = { ...input.context, durationSeconds, approvals: toApprovals(approval) };
  return {
    ...session,
    approval,
    state: 'preparing',
    deadline: toDeadline(broker.now(), preparingSeconds),
    input: { ...input, context },
  };
}
