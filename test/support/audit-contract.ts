import { describe, expect, test } from 'vitest';
import type { Audit, AuditEvent } from '../../lib/audit.ts';

/** An audit log and a way to see what of it is durable now, oldest first. */
export type OpenedAudit = {
  readonly audit: Audit;
  readonly read: () => Promise<readonly { readonly type: string; readonly session?: unknown }[]>;
};

/** Returns an event that is told from others by its session. */
export function endSession(session: string): AuditEvent {
  return { type: 'session.ended', session, endReason: 'deadline' };
}

/** States what every `Audit` does. */
export function describeAudit(name: string, open: () => Promise<OpenedAudit>): void {
  describe(`the audit log that ${name} gives`, () => {
    test('has stored an event once append has resolved', async () => {
      const { audit, read } = await open();

      await audit.append([endSession('a')]);

      expect(await readSessions(read)).toEqual(['a']);
    });

    test('keeps the order of events and of calls', async () => {
      const { audit, read } = await open();

      await Promise.all([
        audit.append([endSession('a'), endSession('b')]),
        audit.append([endSession('c')]),
      ]);
      await audit.append([endSession('d')]);

      expect(await readSessions(read)).toEqual(['a', 'b', 'c', 'd']);
    });

    test('gives every event a place and a hash of its own', async () => {
      const { audit } = await open();
      const events = Array.from({ length: 120 }, () => endSession('same'));

      const receipts = [...(await audit.append(events)), ...(await audit.append(events))];

      expect(receipts).toHaveLength(240);
      expect(new Set(receipts.map(({ chain, sequence }) => `${chain} ${sequence}`)).size).toBe(240);
    });

    test('stores nothing when there is nothing to store', async () => {
      const { audit, read } = await open();

      expect(await audit.append([])).toEqual([]);
      expect(await readSessions(read)).toEqual([]);
    });
  });
}

async function readSessions(read: OpenedAudit['read']): Promise<readonly unknown[]> {
  return (await read())
    .filter(({ type }) => type === 'session.ended')
    .map(({ session }) => session);
}
