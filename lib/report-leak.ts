import type { Broker } from './broker.ts';
import type { Caller } from './caller.ts';
import type { LeakReport } from './gateway-call.ts';
import { requireOwnProcess } from './live-connection.ts';
import { readPermission, spendTicket, toRefused } from './presented-ticket.ts';
import { requireGateway } from './require-gateway.ts';

// Never the nonce of a redemption, which is a GUID: nobody repeats their way to a connection.
const nonce = 'leaked';

/**
 * Spends a ticket that came in a URL, where proxies and histories keep it, and records that with `ticket-leaked`. One
 * that was spent before is recorded all the same. Fails with `ticket-invalid` when it is no ticket of ours.
 */
export async function reportLeak(
  broker: Broker,
  caller: Caller,
  report: LeakReport,
): Promise<void> {
  const pool = requireGateway(broker, caller);
  await requireOwnProcess(broker, pool, report.instance);
  const permission = await readPermission(broker, pool, report);
  await spendTicket(broker, permission, nonce);
  await broker.audit.append([toRefused(pool, report, 'ticket-leaked', permission)]);
}
