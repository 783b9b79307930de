import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createTicket } from '../../lib/create-ticket.ts';
import type { Terms } from '../../lib/terms.ts';
import { tightenTerms } from '../../lib/tighten-terms.ts';
import { openSession, redeem, sessionId } from '../support/sessions.ts';
import { ada, testBroker, testClock, testPolicy } from '../support/test-broker.ts';

const limits = ['maxDurationSeconds', 'maxConnections', 'maxIdleSeconds', 'maxBytes'] as const;

const number = fc.integer({ min: 1, max: 1_000_000 });

const someTerms: fc.Arbitrary<Terms> = fc.record(
  {
    maxDurationSeconds: number,
    maxConnections: number,
    maxIdleSeconds: number,
    maxBytes: number,
    profile: fc.constantFrom('a', 'b'),
  },
  { requiredKeys: [] },
);

describe('tightenTerms', () => {
  test('exceeds neither set in any limit, and limits nothing that neither limits', () => {
    fc.assert(
      fc.property(someTerms, someTerms, (before, now) => {
        const both = tightenTerms(before, now);
        for (const limit of limits) {
          const given = [before[limit], now[limit]].filter((one) => one !== undefined);
          expect(both[limit]).toBe(given.length === 0 ? undefined : Math.min(...given));
          expect(limit in both).toBe(given.length > 0);
        }
      }),
    );
  });

  test('keeps the networks of one set where the other has none', () => {
    const sourceNetworks = ['203.0.113.0/24'];

    expect(tightenTerms({ sourceNetworks }, {})).toEqual({ sourceNetworks });
    expect(tightenTerms({}, { sourceNetworks })).toEqual({ sourceNetworks });
  });
});

// Threat 19: what a ticket was issued under holds no longer than policy does.
describe('a connection that is let in after policy became stricter', () => {
  async function redeemUnder(granted: Terms, now: Terms, seconds = 0) {
    const clock = testClock();
    const broker = testBroker({ now: clock.now, policy: testPolicy(granted) });
    const session = await openSession(broker);
    clock.pass(seconds);
    const later = { ...broker, policy: testPolicy(now) };
    return { session, broker: later, answer: await redeem(later, session.ticket.ticket) };
  }

  test('is idle no longer than policy permits now', async () => {
    const { answer } = await redeemUnder({ maxIdleSeconds: 600 }, { maxIdleSeconds: 60 });

    expect(answer.terms).toMatchObject({ maxIdleSeconds: 60 });
  });

  test('keeps the limit of its ticket where policy is milder now', async () => {
    const { answer } = await redeemUnder({ maxIdleSeconds: 60 }, {});

    expect(answer.terms).toMatchObject({ maxIdleSeconds: 60 });
  });

  test('lasts as long from the start of its session as policy permits now', async () => {
    const { answer } = await redeemUnder({}, { maxDurationSeconds: 600 }, 30);

    expect(answer.deadline).toBe('2026-03-02T12:10:00.000Z');
  });

  test('is not let in when policy permits less time than has passed', async () => {
    const refusal = redeemUnder({}, { maxDurationSeconds: 20 }, 30);

    await expect(refusal).rejects.toMatchObject({ code: 'session-ended' });
  });

  test('is not let in beyond the number that policy permits now', async () => {
    const { broker } = await redeemUnder({ maxConnections: 4 }, { maxConnections: 1 });
    const milder = { ...broker, policy: testPolicy({ maxConnections: 4 }) };
    const { ticket } = await createTicket(milder, ada, sessionId, { form: 'jwt' });

    const refusal = redeem(broker, ticket, { nonce: broker.newId() });

    await expect(refusal).rejects.toMatchObject({ code: 'connection-limit' });
  });
});
