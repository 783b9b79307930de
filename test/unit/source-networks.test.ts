import { describe, expect, test } from 'vitest';
import type { Broker } from '../../lib/broker.ts';
import type { Terms } from '../../lib/terms.ts';
import { openSession, redeem } from '../support/sessions.ts';
import { memoryAudit, testBroker, testPolicy } from '../support/test-broker.ts';

const office = '203.0.113.0/24';
const home = '2001:db8:1::/48';

/** Redeems a ticket from an address: its session was granted under some terms, and policy may say others now. */
async function redeemFrom(clientIp: string | undefined, granted: Terms, now: Terms = granted) {
  const audit = memoryAudit();
  const broker: Broker = testBroker({ audit, policy: testPolicy(granted) });
  const { ticket } = await openSession(broker);
  const changes = clientIp === undefined ? {} : { clientIp };
  const redeeming = redeem({ ...broker, policy: testPolicy(now) }, ticket.ticket, changes);
  const outcome = await redeeming.then(
    () => 'in',
    (failure: unknown) => failure,
  );
  return { outcome, audit };
}

describe('a session whose source networks are limited', () => {
  test.each([
    ['203.0.113.7', [office]],
    ['::ffff:203.0.113.7', [office]],
    ['::ffff:cb00:7107', [office]],
    ['2001:db8:1:ff::7', [home]],
    ['2001:DB8:1:FF::7', [home]],
    ['203.0.113.7', [home, office]],
    ['2001:db8:1::', [office, home]],
    ['198.51.100.7', ['0.0.0.0/0']],
  ])('lets %s into %j', async (clientIp, sourceNetworks) => {
    const { outcome } = await redeemFrom(clientIp, { sourceNetworks });

    expect(outcome).toBe('in');
  });

  test.each([
    ['203.0.114.7', [office]],
    ['::ffff:203.0.114.7', [office]],
    ['2001:db8:2::7', [home]],
    // An IPv4 address is in no IPv6 network, however wide.
    ['203.0.113.7', ['::/0']],
    ['2001:db8:1::7', ['0.0.0.0/0']],
    ['198.51.100.7', [office, home]],
    [undefined, [office]],
    [undefined, ['0.0.0.0/0', '::/0']],
  ])('refuses %s from %j, and records it', async (clientIp, sourceNetworks) => {
    const { outcome, audit } = await redeemFrom(clientIp, { sourceNetworks });

    expect(outcome).toMatchObject({ code: 'source-forbidden' });
    expect(audit.entries.at(-1)).toMatchObject({
      type: 'ticket.refused',
      code: 'source-forbidden',
      ...(clientIp === undefined ? {} : { clientIp }),
    });
    expect(audit.entries.map(({ type }) => type)).not.toContain('connection.opened');
  });

  // Threat 19: neither an older nor a newer set of policies can be got round.
  test.each([
    ['only then', { sourceNetworks: [office] }, {}, 'source-forbidden'],
    ['only now', {}, { sourceNetworks: [office] }, 'source-forbidden'],
    ['then', { sourceNetworks: [office] }, { sourceNetworks: [home] }, 'source-forbidden'],
    ['now', { sourceNetworks: [home] }, { sourceNetworks: [office] }, 'source-forbidden'],
  ])('refuses an address that policy forbade %s', async (_when, granted, now, code) => {
    const { outcome } = await redeemFrom('2001:db8:1::7', granted, now);

    expect(outcome).toMatchObject({ code });
  });

  test('tells nobody which networks they are', async () => {
    const { outcome } = await redeemFrom('198.51.100.7', { sourceNetworks: [office] });

    expect(String(outcome)).not.toContain('203.0.113');
  });
});
