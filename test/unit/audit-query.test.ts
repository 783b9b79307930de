import { describe, expect, test } from 'vitest';
import type { AuditEvent } from '../../lib/audit.ts';
import { auditListShape, auditQueryShape } from '../../lib/audit-view.ts';
import { queryAudit } from '../../lib/audit-query.ts';
import { BrokerError } from '../../lib/failure.ts';
import { call } from '../support/call.ts';
import { collectLogLines } from '../support/log-lines.ts';
import { auditor, startQueryBench } from '../support/query-bench.ts';
import { openSession, redeem, sessionId, ssh } from '../support/sessions.ts';
import { requestSession } from '../../lib/request-session.ts';
import { ada, eve, grace, testPolicy, testTargets, vm } from '../support/test-broker.ts';

collectLogLines();

const callers = new Map([ada, eve, grace, auditor].map((caller) => [caller.name, caller]));

async function identify(token: string) {
  const caller = callers.get(token);
  if (caller === undefined) throw new BrokerError('token-invalid', 'Sign in again.');
  return caller;
}

/** A broker whose log is the one that is asked about. */
function startWhole(changes: Parameters<typeof startQueryBench>[0] = {}) {
  const bench = startQueryBench({ identify, ...changes });
  const writer = bench.openWriter();
  const audit = { ...bench.broker.audit, append: writer.append };
  const broker = { ...bench.broker, audit };
  const query = async (asked: Readonly<Record<string, unknown>>, caller = auditor) =>
    queryAudit(broker, caller, auditQueryShape.parse(asked));
  return { ...bench, broker, query };
}

async function readOwnTypes(bench: ReturnType<typeof startWhole>, caller = ada) {
  const { value } = await bench.query({}, caller);
  return value.map(({ type }) => type);
}

describe('GET /api/audit', () => {
  test('200 with what happened to a session, newest first, sealed or not', async () => {
    const { broker, openSealer } = startWhole();
    const { ticket } = await openSession(broker);
    await openSealer().seal();
    await redeem(broker, ticket.ticket);

    const sent = { token: 'audrey', query: { session: sessionId } };
    const { status, body } = await call(broker, 'GET', '/api/audit', sent);

    expect(status).toBe(200);
    expect(auditListShape.parse(body).value).toMatchObject([
      { type: 'connection.opened', sealed: null },
      { type: 'ticket.redeemed', sealed: null },
      { type: 'ticket.issued', sealed: 1 },
      { type: 'session.allowed', sealed: 1 },
      { type: 'session.requested', sealed: 1, body: { caller: { id: ada.id } } },
    ]);
  });

  test('200 page by page, each with the link of the next', async () => {
    const { broker } = startWhole();
    for (let i = 0; i < 5; i += 1) await openSession(broker, { id: broker.newId() });
    const types: string[] = [];
    let query: Readonly<Record<string, string>> = { limit: '4', target: vm.id };
    for (let pages = 0; pages < 9; pages += 1) {
      const { body } = await call(broker, 'GET', '/api/audit', { token: 'audrey', query });
      const { value, nextLink } = auditListShape.parse(body);
      types.push(...value.map(({ type }) => type));
      if (nextLink === undefined) break;
      query = Object.fromEntries(new URL(nextLink).searchParams);
    }

    expect(types).toHaveLength(15);
  });

  test('403 about another caller without the role', async () => {
    const { broker } = startWhole();

    const sent = { token: 'ada', query: { caller: eve.id } };
    const { status, body } = await call(broker, 'GET', '/api/audit', sent);

    expect({ status, body }).toMatchObject({ status: 403, body: { code: 'role-missing' } });
  });

  test.each([
    ['target', 'vm-1'],
    ['session', 'x'],
    ['type', 'a b'],
    ['from', 'yesterday'],
    ['limit', '201'],
    ['limit', '0'],
    ['order', 'asc'],
  ])('400 for %s=%s', async (name, value) => {
    const { broker } = startWhole();

    const sent = { token: 'audrey', query: { [name]: value } };
    const { status } = await call(broker, 'GET', '/api/audit', sent);

    expect(status).toBe(400);
  });

  // Threat 35.
  test.each([
    ['with a bit flipped', (token: string) => `${token.slice(0, -9)}A${token.slice(-8)}`, 'audrey'],
    ['of another caller', (token: string) => token, 'ada'],
  ])('400 for a continuation %s', async (_name, change, who) => {
    const { broker } = startWhole();
    for (let i = 0; i < 3; i += 1) await openSession(broker, { id: broker.newId() });
    const first = await call(broker, 'GET', '/api/audit', {
      token: 'audrey',
      query: { limit: '2' },
    });
    const { nextLink = '' } = auditListShape.parse(first.body);
    const after = change(new URL(nextLink).searchParams.get('after') ?? '');

    const sent = { token: who, query: { limit: '2', after } };
    const { status, body } = await call(broker, 'GET', '/api/audit', sent);

    expect({ status, body }).toMatchObject({
      status: 400,
      body: { code: 'continuation-invalid' },
    });
  });

  test('503 where the log cannot be read back', async () => {
    const { broker } = startWhole();
    const { auditIndex: _, ...rest } = broker;

    const { status } = await call(rest, 'GET', '/api/audit', { token: 'audrey' });

    expect(status).toBe(503);
  });
});

describe('who may not read the audit log', () => {
  test('sees what was done in their sessions, by whomever, without address and policy input', async () => {
    const bench = startWhole();
    const { ticket } = await openSession(bench.broker);
    await redeem(bench.broker, ticket.ticket);
    await bench.openSealer().seal();

    const { value } = await bench.query({}, ada);

    expect(value.map(({ type }) => type)).toEqual([
      'connection.opened',
      'ticket.redeemed',
      'ticket.issued',
      'session.allowed',
      'session.requested',
    ]);
    expect(value.map(({ withheld }) => withheld)).toEqual([
      ['host'],
      undefined,
      ['host'],
      ['input'],
      undefined,
    ]);
    expect(JSON.stringify(value)).not.toContain('10.0.0.4');
  });

  test("sees nothing of other people's sessions, whatever they ask", async () => {
    const bench = startWhole();
    await openSession(bench.broker);
    for (const isSealed of [false, true]) {
      if (isSealed) await bench.openSealer().seal();
      for (const asked of [
        {},
        { session: sessionId },
        { target: vm.id },
        { type: 'ticket.issued' },
      ])
        expect((await bench.query(asked, grace)).value).toEqual([]);
    }
  });

  // Threat 13: a target that policy hides, and one that does not exist.
  test('learns nothing from a refusal that the refusal did not say', async () => {
    const hidden = startWhole({ policy: testPolicy() });
    const absent = startWhole({ policy: testPolicy(), targets: testTargets([]) });
    for (const bench of [hidden, absent])
      for (const isSealed of [false, true]) {
        await requestSession(bench.broker, eve, ssh, { id: sessionId }).catch(() => undefined);
        if (isSealed) await bench.openSealer().seal();
      }
    for (const asked of [
      {},
      { target: vm.id },
      { session: sessionId },
      { type: 'session.denied' },
    ]) {
      const [seen, other] = [await hidden.query(asked, eve), await absent.query(asked, eve)];
      const toFacts = ({ value }: typeof seen) =>
        value.map(({ type, seq, sealed }) => ({ type, seq, sealed }));
      expect(toFacts(seen)).toEqual(toFacts(other));
    }
    expect((await hidden.query({ session: sessionId })).value.map(({ type }) => type)).toContain(
      'session.denied',
    );
  });

  // Two requests under one id: the session is of the one that made it.
  test("does not see a session's entries for having asked under its id before", async () => {
    const bench = startWhole();
    await requestSession(bench.broker, eve, ssh, { id: sessionId }).catch(() => undefined);
    await openSession(bench.broker);
    await bench.openSealer().seal();

    expect(await readOwnTypes(bench, eve)).toEqual(['session.requested']);
    expect(await readOwnTypes(bench)).toEqual([
      'ticket.issued',
      'session.allowed',
      'session.requested',
    ]);
  });

  test('sees what they did to the sessions of others', async () => {
    const bench = startWhole();
    const by = { id: grace.id, name: grace.name };
    const event: AuditEvent = {
      type: 'session.ended',
      session: sessionId,
      endReason: 'terminated',
      by,
    };
    await openSession(bench.broker);
    await bench.broker.audit.append([event]);

    expect(await readOwnTypes(bench, grace)).toEqual(['session.ended']);
  });
});
