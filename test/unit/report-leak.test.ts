import { describe, expect, test } from 'vitest';
import { createTicket } from '../../lib/create-ticket.ts';
import { reportLeak } from '../../lib/report-leak.ts';
import { instance, openSession, redeem, sessionId } from '../support/sessions.ts';
import { ada, gateway, memoryAudit, testBroker, testClock } from '../support/test-broker.ts';

function start() {
  const clock = testClock();
  const audit = memoryAudit();
  const events: string[] = [];
  const log = (event: string): void => void events.push(event);
  return { clock, audit, events, broker: testBroker({ now: clock.now, audit, log }) };
}

// Threat 1: what came in a URL stays in the logs of every proxy on the way.
describe('a ticket that is reported as leaked', () => {
  test.each(['jwt', 'handle'] as const)('is spent and recorded: %s', async (form) => {
    const { broker, audit } = start();
    await openSession(broker);
    const { ticket } = await createTicket(broker, ada, sessionId, { form });
    const issued = audit.entries.at(-1);

    await reportLeak(broker, gateway, { instance, ticket, clientIp: '198.51.100.7' });

    expect(audit.entries.at(-1)).toMatchObject({
      type: 'ticket.refused',
      code: 'ticket-leaked',
      session: sessionId,
      ticket: issued?.type === 'ticket.issued' ? issued.ticket : '',
      clientIp: '198.51.100.7',
    });
    await expect(redeem(broker, ticket)).rejects.toMatchObject({ code: 'ticket-spent' });
  });

  test('is recorded though it was spent before, and again when the report is repeated', async () => {
    const { broker, audit } = start();
    const { ticket } = await openSession(broker);
    await redeem(broker, ticket.ticket);

    await reportLeak(broker, gateway, { instance, ticket: ticket.ticket });
    await reportLeak(broker, gateway, { instance, ticket: ticket.ticket });

    const last = audit.entries.slice(-2);
    expect(last).toMatchObject([{ code: 'ticket-leaked' }, { code: 'ticket-leaked' }]);
  });

  test('costs other tickets of its session nothing', async () => {
    const { broker } = start();
    const { ticket } = await openSession(broker);
    const { ticket: another } = await createTicket(broker, ada, sessionId, { form: 'jwt' });
    await reportLeak(broker, gateway, { instance, ticket: ticket.ticket });

    await expect(redeem(broker, another)).resolves.toMatchObject({ session: sessionId });
  });

  // Anyone can make handles up, and must not be able to fill the audit log.
  test('is not recorded when it is a handle that nobody knows', async () => {
    const { broker, audit, events } = start();

    const refusal = reportLeak(broker, gateway, { instance, ticket: 'x'.repeat(43) });

    await expect(refusal).rejects.toMatchObject({ code: 'ticket-invalid' });
    expect(audit.entries).toEqual([]);
    expect(events).toEqual(['handle-unknown']);
  });

  test('is refused from whoever is no gateway', async () => {
    const { broker } = start();
    const { ticket } = await openSession(broker);

    await expect(
      reportLeak(broker, ada, { instance, ticket: ticket.ticket }),
    ).rejects.toMatchObject({ code: 'role-missing' });

    await expect(redeem(broker, ticket.ticket)).resolves.toBeDefined();
  });
});
