import { describe, expect, test } from 'vitest';
import type { Broker } from '../../lib/broker.ts';
import { createTicket } from '../../lib/create-ticket.ts';
import { needingPolicy } from '../support/approvals.ts';
import { call } from '../support/call.ts';
import { openSession, sessionId, ssh } from '../support/sessions.ts';
import { ada, memoryAudit, testBroker } from '../support/test-broker.ts';

const params = { id: sessionId };

/** A broker that asks for the context `c1`, of a client that can, or cannot, answer a claims challenge. */
function startStrict(canStepUp: boolean) {
  const audit = memoryAudit();
  const identify: Broker['identify'] = async () => ({ ...ada, canStepUp });
  const broker = testBroker({ policy: needingPolicy({ acr: 'c1' }), audit, identify });
  return { broker, audit };
}

async function put(broker: Broker, changes: object = {}) {
  const body = { ...ssh, ...changes };
  return call(broker, 'PUT', '/api/sessions/{id}', { token: 'ada', params, body });
}

describe('an authentication context that the caller lacks', () => {
  test('401 with a claims challenge for a client that can answer it', async () => {
    const { broker, audit } = startStrict(true);

    const { status, headers, body } = await put(broker);

    expect(status).toBe(401);
    expect(body).toMatchObject({ code: 'step-up-needed', needs: [{ kind: 'acr', acr: 'c1' }] });
    const challenge = headers.get('www-authenticate') ?? '';
    expect(challenge).toMatch(/^Bearer realm="", error="insufficient_claims", claims="[\w+/=]+"$/);
    const [, claims = ''] = /claims="([^"]+)"/.exec(challenge) ?? [];
    expect(JSON.parse(Buffer.from(claims, 'base64').toString())).toEqual({
      access_token: { acrs: { essential: true, value: 'c1' } },
    });
    expect(audit.entries.map(({ type }) => type)).toEqual(['session.requested', 'session.needs']);
  });

  // A client that does not know the challenge would ask for the same token for ever.
  test('403 with an explanation for a client that cannot', async () => {
    const { broker } = startStrict(false);

    const { status, headers, body } = await put(broker);

    expect(status).toBe(403);
    expect(headers.get('www-authenticate')).toBeNull();
    expect(body).toMatchObject({
      code: 'needs-unmet',
      detail: 'Sign in with the authentication context c1.',
      advice: ['Sign in with the authentication context c1.'],
    });
  });

  test('lets the caller in who has it, and refuses a later ticket to a token without it', async () => {
    const { broker } = startStrict(true);
    await openSession(broker, { caller: { ...ada, acrs: ['c1'] } });

    await expect(createTicket(broker, ada, sessionId, { form: 'jwt' })).rejects.toMatchObject({
      code: 'needs-unmet',
    });
  });
});

describe('a reason or a change reference of another form', () => {
  const terms = { reasonPattern: 'INC*', changePattern: '*' };

  test('403 names every need, and records it', async () => {
    const audit = memoryAudit();
    const broker = testBroker({ policy: needingPolicy(terms), audit });

    const { status, body } = await put(broker, { reason: 'because' });

    expect(status).toBe(403);
    expect(body).toMatchObject({
      code: 'needs-unmet',
      needs: [
        { kind: 'reason', pattern: 'INC*' },
        { kind: 'change', pattern: '*' },
      ],
    });
    expect(audit.entries.at(-1)).toMatchObject({ type: 'session.needs', input: { context: {} } });
  });

  test('201 once they are given', async () => {
    const broker = testBroker({ policy: needingPolicy(terms) });

    const { status, body } = await put(broker, { reason: 'INC-1', change: 'CHG-1' });

    expect(status).toBe(201);
    expect(body).toMatchObject({ state: 'ready', terms });
  });

  // An approver should not be asked about what the caller has to mend first.
  test('is asked for before any approval', async () => {
    const approval = { group: 'approvers', count: 1 };
    const broker = testBroker({ policy: needingPolicy({ ...terms, approval }) });

    expect((await put(broker)).body).toMatchObject({ code: 'needs-unmet' });
  });
});
