import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Entry } from '../../lib/audit-tail.ts';
import type { AuditEvent } from '../../lib/audit.ts';
import type { DecisionInput } from '../../lib/decision.ts';
import { toNotice } from '../../lib/notice.ts';
import { toDraft } from '../../lib/notice-draft.ts';
import { ada, eve, grace, vm } from '../support/test-broker.ts';
import { sessionId } from '../support/sessions.ts';

const broker = new URL('https://broker.test');
const chain = '20260302-00112233445566aa';
const time = '2026-03-02T12:00:00.000Z';
const lockId = '10c00000-0000-4000-8000-000000000001';
const caller = { id: ada.id, name: ada.name };
const by = { id: grace.id, name: grace.name };
const target = { id: vm.id, name: vm.name };

const request = { target: vm.id, protocol: 'ssh', durationSeconds: 3600 } as const;

const requested: AuditEvent = {
  type: 'session.requested',
  session: sessionId,
  caller,
  app: 'portal',
  request,
};

const { id, kind, app, issuer } = ada;
const input: DecisionInput = {
  caller: { id, kind, app, issuer, groups: ['group-2'], acrs: [] },
  target: { ...target, subscription: 's', resourceGroup: 'g', os: 'linux', tags: {} },
  action: 'connect.ssh',
  context: { port: 22, now: 1, durationSeconds: 3600, reason: 'INC-1', change: 'CHG-1' },
};

const decision = { session: sessionId, policies: ['operators'], digest: 'set', input };

const allowed = { type: 'session.allowed', ...decision, terms: {} } as const;

const ticket: AuditEvent = {
  type: 'ticket.issued',
  session: sessionId,
  caller,
  ticket: 'ticket-1',
  form: 'jwt',
  kid: 'key-1',
  gateway: 'hub',
  target: vm.id,
  host: '10.0.0.4',
  port: 22,
  expiresAt: time,
};

const lock = {
  id: lockId,
  kind: 'caller',
  value: eve.id,
  message: 'Under review.',
  setBy: by,
  setAt: time,
} as const;

const pending: AuditEvent = {
  type: 'session.pending',
  kind: 'session',
  session: sessionId,
  caller,
  target,
  protocol: 'ssh',
  port: 22,
  durationSeconds: 3600,
  reason: 'INC-1',
  change: 'CHG-1',
  request: 'digest-1',
  needs: [{ group: 'group-1', count: 2 }],
  expiresAt: time,
};

const stored = {
  id: sessionId,
  state: 'ready',
  caller,
  target,
  protocol: 'ssh',
  port: 22,
  reason: 'INC-1',
  change: 'CHG-1',
  createdAt: time,
  deadline: '2026-03-02T13:00:00.000Z',
};

const session = {
  id: sessionId,
  caller,
  target,
  protocol: 'ssh',
  port: 22,
  reason: 'INC-1',
  change: 'CHG-1',
};

const links = { session: `https://broker.test/api/sessions/${sessionId}` };

/** What is recorded together, and the notice of its last event. */
const told: [string, AuditEvent[], object][] = [
  [
    'sallyport.session.requested',
    [requested, { type: 'session.needs', ...decision, terms: {}, needs: [] }, pending],
    {
      session,
      kind: 'session',
      request: 'digest-1',
      durationSeconds: 3600,
      needs: [{ group: 'group-1', count: 2 }],
      expiresAt: time,
      links: { ...links, approval: `${links.session}/approval` },
    },
  ],
  [
    'sallyport.session.started',
    [requested, allowed, ticket],
    { session, deadline: stored.deadline, links },
  ],
  [
    'sallyport.session.started',
    [allowed, { type: 'session.ready', session: sessionId, caller, deadline: time }],
    { session, deadline: time, links },
  ],
  [
    'sallyport.session.denied',
    [requested, { type: 'session.denied', ...decision, advice: ['Ask by day.'] }],
    { session, links },
  ],
  [
    'sallyport.session.denied',
    [
      { ...requested, onBehalfOf: by },
      { type: 'session.denied', ...decision, advice: [] },
    ],
    { session: { ...session, onBehalfOf: by }, links },
  ],
  [
    'sallyport.session.ended',
    [{ type: 'session.ended', session: sessionId, endReason: 'terminated', by }],
    { session, endReason: 'terminated', by, links },
  ],
  [
    'sallyport.approval.decided',
    [
      {
        type: 'approval.decided',
        session: sessionId,
        request: 'digest-1',
        by,
        decision: 'approve',
        durationSeconds: 600,
        note: 'Go.',
      },
    ],
    {
      session,
      request: 'digest-1',
      by,
      decision: 'approve',
      durationSeconds: 600,
      note: 'Go.',
      links,
    },
  ],
  [
    'sallyport.lock.set',
    [{ type: 'lock.set', lock }],
    { lock, links: { lock: `https://broker.test/api/locks/${lockId}` } },
  ],
  [
    'sallyport.lock.lifted',
    [{ type: 'lock.lifted', lock: lockId, by }],
    { lock: { id: lockId }, by, links: { lock: `https://broker.test/api/locks/${lockId}` } },
  ],
];

function toEntries(events: readonly unknown[]): readonly Entry[] {
  return events.map((event, index) => {
    const body = typeof event === 'object' && event !== null ? { ...event, time } : {};
    return { chain, sequence: index + 1, time, hash: 'h', body };
  });
}

function toDraftOfLast(events: readonly unknown[]) {
  const entries = toEntries(events);
  const last = entries.at(-1);
  if (last === undefined) throw new Error('no event');
  return toDraft(last, entries.slice(0, -1).slice(-2));
}

function toBody(events: readonly unknown[], session?: unknown): string {
  const draft = toDraftOfLast(events);
  if (draft === undefined) throw new Error('tells nothing');
  return toNotice(draft, broker, session).body;
}

describe('a notice', () => {
  test.each(told)('%s says who, what, which and where, and nothing else', (type, events, data) => {
    const event: unknown = JSON.parse(toBody(events, stored));

    expect(event).toEqual({
      specversion: '1.0',
      id: `${chain}-${String(events.length)}`,
      source: 'https://broker.test',
      type,
      subject: type.startsWith('sallyport.lock') ? lockId : sessionId,
      time,
      datacontenttype: 'application/json',
      data,
    });
  });

  test.each(told)('%s has the same id whenever it is made, without a full stop', (_t, events) => {
    const ids = [stored, undefined].map((known) => {
      const draft = toDraftOfLast(events);
      return draft && toNotice(draft, broker, known).id;
    });

    expect(new Set(ids).size).toBe(1);
    expect(ids[0]).toMatch(/^[0-9a-z-]+$/);
  });

  // Whatever an entry or a session may hold one day: what is not named in the mapping does not get out.
  test.each(told)('%s tells nothing that it does not name', (_type, events) => {
    const canary = 'c4n4ry';
    const other = fc.dictionary(
      fc.constantFrom('host', 'ticket', 'token', 'input', 'advice', 'terms', 'policies', 'secret'),
      fc.constantFrom(canary, [canary], { value: canary }),
      { minKeys: 1 },
    );
    fc.assert(
      fc.property(other, other, (inEntry, inSession) => {
        const laden = events.map((event) => pour(event, inEntry));

        const body = toBody(laden, pour({ ...stored, host: canary }, inSession));

        expect(body).not.toContain(canary);
      }),
      { numRuns: 50 },
    );
  });

  test.each(told)(
    '%s names no host, ticket, key, policy, digest or group of the caller',
    (_t, events) => {
      const body = toBody(events, { ...stored, host: '10.0.0.4', ...decision, terms: {} });

      expect(body).not.toMatch(
        /10\.0\.0\.4|ticket-1|key-1|operators|"set"|resourceGroup|group-2|Ask by day/,
      );
    },
  );

  test('is made of what the entries say when the session cannot be found', () => {
    const started: unknown = JSON.parse(toBody([requested, allowed, ticket]));
    const ended: unknown = JSON.parse(
      toBody([{ type: 'session.ended', session: sessionId, endReason: 'unused' }]),
    );

    expect(started).toMatchObject({ data: { session } });
    expect(ended).toMatchObject({ data: { session: { id: sessionId }, endReason: 'unused' } });
  });
});

describe('no notice', () => {
  const other = { ...requested, session: lockId };

  test.each<[string, AuditEvent[]]>([
    ['a request alone', [requested]],
    ['a permission without a ticket, whose session has to be made ready', [requested, allowed]],
    ['a further ticket', [allowed, ticket]],
    ['a further ticket after somebody else’s request', [other, allowed, ticket]],
    ['an extension that is denied', [{ type: 'session.denied', ...decision, advice: [] }]],
    [
      'a denial after somebody else’s request',
      [other, { type: 'session.denied', ...decision, advice: [] }],
    ],
    ['a repetition', [{ type: 'session.repeated', session: sessionId, caller }]],
  ])('comes of %s', (_what, events) => {
    expect(toDraftOfLast(events)).toBeUndefined();
  });

  test('comes of an entry that is not as its type is, but a failure', () => {
    expect(() => toDraftOfLast([{ type: 'session.ended', session: 'no id' }])).toThrow('session');
  });
});

/** Puts more members into an object and into all objects in it, but for those that are records of free names. */
function pour(value: unknown, more: object): unknown {
  if (Array.isArray(value)) return value.map((item: unknown) => pour(item, more));
  if (typeof value !== 'object' || value === null) return value;
  const own = Object.entries(value).map(([name, item]) => [name, pour(item, more)] as const);
  return { ...more, ...Object.fromEntries(own) };
}
