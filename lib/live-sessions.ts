import type { Broker } from './broker.ts';
import { BrokerError } from './failure.ts';
import { dueBuckets } from './session-index.ts';
import type { Session, StoredSession } from './session.ts';
import { findSession, isLive } from './session.ts';

// Rows are read in groups, so that a large broker neither waits for each nor floods the table.
const groupSize = 50;

/** Gives every session that may be used now or waits to be, in no order. */
export async function* readLiveSessions(broker: Broker): AsyncGenerator<Session> {
  for (const bucket of dueBuckets) {
    const rows = await broker.state.list(`due|${bucket}`);
    const ids = [...new Set(rows.map(({ values }) => String(values['session'])))];
    for (let start = 0; start < ids.length; start += groupSize) {
      const group = ids.slice(start, start + groupSize);
      const found = await Promise.all(group.map(async (id) => findReadable(broker, id)));
      for (const stored of found)
        if (stored !== undefined && isLive(stored.session, broker.now())) yield stored.session;
    }
  }
}

// A row that cannot be read, for example of a later version, must not hide the others.
async function findReadable(broker: Broker, id: string): Promise<StoredSession | undefined> {
  try {
    return await findSession(broker, id);
  } catch (failure) {
    if (failure instanceof BrokerError) throw failure;
    broker.log('session.unreadable', { session: id, failure });
    return undefined;
  }
}
