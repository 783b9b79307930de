import { openClient } from '../context.ts';
import type { Context } from '../context.ts';
import { formatRequests } from '../describe-request.ts';

/** Prints the requests that wait and that the caller may decide, the oldest first. */
export async function printRequests(context: Context): Promise<void> {
  const { settings, terminal } = context;
  const { client } = await openClient(context);
  const requests = await client.listApprovals();
  if (settings.json) return terminal.printJson(requests);
  if (requests.length === 0) return terminal.note('There is nothing for you to decide.');
  formatRequests(requests).forEach(terminal.print);
}
