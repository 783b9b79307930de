import type { AuditItem } from './audit-view.ts';
import type { Broker } from './broker.ts';
import type { Caller } from './caller.ts';
import type { StoredSession } from './session.ts';
import { findSession, isOfCaller } from './session.ts';

// What callers may read of entries about their own sessions. Who may not read the audit log learns from it nothing that
// other answers hide: above all not whether a target is there that policy keeps from them.
const aboutSession: ReadonlySet<string> = new Set([
  'session.requested',
  'session.allowed',
  'session.needs',
  'session.pending',
  'session.ready',
  'session.repeated',
  'session.extended',
  'session.ended',
  'approval.decided',
  'ticket.issued',
  'ticket.redeemed',
  'ticket.refused',
  'connection.opened',
  'connection.closed',
  'target.started',
]);

// A target that is hidden is refused in the same words as one that does not exist, and so neither is shown.
const hiddenCodes: ReadonlySet<unknown> = new Set(['not-found', 'access-denied']);

const withheldMembers = ['host', 'input', 'advice'];

/**
 * Returns the items that are the caller's own: what they did, and what was done about their sessions, without private
 * addresses and the input of policy. Costs one call for each session of which it is not said whose it is.
 */
export async function showOwn(
  broker: Pick<Broker, 'state'>,
  caller: Caller,
  items: readonly AuditItem[],
): Promise<readonly AuditItem[]> {
  const known = new Map<string, Promise<StoredSession | undefined>>();
  const find = async (id: string): Promise<StoredSession | undefined> => {
    const found = known.get(id) ?? findSession(broker, id);
    known.set(id, found);
    return found;
  };
  const shown = await Promise.all(
    items.map(async (item) => {
      const isOwn = isOwnAct(caller, item) || (await isAboutOwnSession(find, caller, item));
      return isOwn ? [withhold(item)] : [];
    }),
  );
  return shown.flat();
}

// By the stored session and not by the entries: of two requests under one id, only one has made it.
async function isAboutOwnSession(
  find: (id: string) => Promise<StoredSession | undefined>,
  caller: Caller,
  { type, body }: AuditItem,
): Promise<boolean> {
  const { session: id, caller: asker, input } = body ?? {};
  if (!aboutSession.has(type) || typeof id !== 'string') return false;
  const { session } = (await find(id)) ?? {};
  if (session === undefined || !isOfCaller(session, caller)) return false;
  const askers = [asker, toMembers(input)['caller']].map((actor) => toMembers(actor)['id']);
  return askers.every((one) => one === undefined || one === session.caller.id);
}

function isOwnAct({ id }: Caller, { body, type }: AuditItem): boolean {
  const { caller, by, onBehalfOf, code, delegation, lock } = body ?? {};
  if (type === 'session.denied' || (type === 'session.refused' && hiddenCodes.has(code)))
    return false;
  const { from } = toMembers(delegation);
  const { setBy } = toMembers(lock);
  return [caller, by, onBehalfOf, from, setBy].some((actor) => toMembers(actor)['id'] === id);
}

function withhold(item: AuditItem): AuditItem {
  if (item.body === null) return item;
  const members = Object.entries(item.body);
  const withheld = members.map(([name]) => name).filter((name) => withheldMembers.includes(name));
  if (withheld.length === 0) return item;
  const body = Object.fromEntries(members.filter(([name]) => !withheld.includes(name)));
  return { ...item, body, withheld };
}

function toMembers(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
