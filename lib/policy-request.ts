import type { CedarValueJson } from '@cedar-policy/cedar-wasm/nodejs';
import { parseAddress } from './address.ts';
import type { DecisionInput } from './decision.ts';
import type { PolicySet } from './policy-check.ts';
import type { CedarRequest } from './policy-engine.ts';

type Uid = { readonly type: string; readonly id: string };

type Entity = {
  readonly uid: Uid;
  readonly attrs?: Readonly<Record<string, CedarValueJson>>;
  readonly parents?: readonly Uid[];
  readonly tags?: Readonly<Record<string, CedarValueJson>>;
};

type Vocabulary = Pick<PolicySet, 'groups' | 'clocks'>;

const clock: Uid = { type: 'Clock', id: 'now' };

// A person and a workload never share an entity, whatever their ids.
const callerTypes = { person: 'User', workload: 'ServicePrincipal' } as const;

/**
 * Puts an input into Cedar's terms: ids, tag names, and the attributes app, id, name and os in lower case, the groups
 * and time zones that policies name, and every parent. Throws when a fact is in doubt.
 */
export function toCedarRequest(input: DecisionInput, { groups, clocks }: Vocabulary): CedarRequest {
  const now = new Date(input.context.now * 1000);
  const caller = toCaller(input.caller, groups);
  const person = input.onBehalfOf && toCaller(input.onBehalfOf, groups);
  const people = person === undefined ? [caller] : [caller, person];
  const target = toTarget(input.target);
  const zones = [...clocks].map(([zone, read]) => [zone, read(now)] as const);
  const entities: readonly Entity[] = [
    ...people,
    ...listParents(people).map((uid) => ({ uid })),
    ...target,
    { uid: clock, tags: Object.fromEntries(zones) },
  ];
  requireClosed(entities, [clock, ...people.map(({ uid }) => uid)]);
  return {
    principal: caller.uid,
    action: { type: 'Action', id: input.action },
    resource: target[0].uid,
    context: { ...toContext(input, now), ...(person && { onBehalfOf: toReference(person.uid) }) },
    entities: entities.map(({ uid, attrs = {}, parents = [], tags = {} }) => ({
      uid,
      attrs,
      parents: [...parents],
      tags,
    })),
  };
}

function toCaller(
  caller: Pick<DecisionInput['caller'], 'id' | 'kind' | 'app' | 'issuer' | 'groups'>,
  known: ReadonlySet<string>,
): Entity {
  const groups = new Set(caller.groups.map(toLower).filter((group) => known.has(group)));
  return {
    uid: { type: callerTypes[caller.kind], id: toLower(caller.id) },
    attrs: { app: toLower(caller.app), issuer: caller.issuer.toWellFormed() },
    parents: [...groups].map((id) => ({ type: 'Group', id })),
  };
}

// Cedar takes no entity twice, and the two may be in one group.
function listParents(people: readonly Entity[]): readonly Uid[] {
  const parents = people.flatMap((one) => one.parents ?? []);
  return [...new Map(parents.map((uid) => [toKey(uid), uid] as const)).values()];
}

function toTarget(target: DecisionInput['target']): readonly [Entity, ...Entity[]] {
  const id = toLower(target.id);
  const subscription = { type: 'Subscription', id: toLower(target.subscription) };
  const group = {
    type: 'ResourceGroup',
    id: toPlace(subscription.id, toLower(target.resourceGroup)),
  };
  const places = [{ uid: group, parents: [subscription] }, { uid: subscription }];
  return [
    {
      uid: { type: 'VirtualMachine', id },
      attrs: { id, name: toLower(target.name), os: toLower(target.os) },
      parents: [group],
      tags: toTags(target.tags),
    },
    // A target without a place has no entity for it, and is refused below.
    ...places.filter(({ uid }) => uid.id !== ''),
  ];
}

/** Returns the id of a resource group, or nothing when it would be that of another as well. */
function toPlace(subscription: string, group: string): string {
  const isPlain = (part: string): boolean => part !== '' && !part.includes('/');
  return isPlain(subscription) && isPlain(group) ? `${subscription}/${group}` : '';
}

function toTags(tags: DecisionInput['target']['tags']): Readonly<Record<string, string>> {
  const lowered = Object.entries(tags).map(
    ([name, value]) => [toLower(name), value.toWellFormed()] as const,
  );
  // Azure has one tag of a name in any case. Of two, policy could see the one that does not forbid.
  if (new Set(lowered.map(([name]) => name)).size !== lowered.length)
    throw new Error('two tags of the target differ only in case');
  return Object.fromEntries(lowered);
}

function toContext({ caller, context }: DecisionInput, now: Date): CedarRequest['context'] {
  const { port, durationSeconds, signInAgeSeconds, sourceIp, reason, change } = context;
  return {
    port,
    durationSeconds,
    now: { __extn: { fn: 'datetime', arg: now.toISOString() } },
    clock: toReference(clock),
    acrs: caller.acrs.map((acr) => acr.toWellFormed()),
    ...(signInAgeSeconds === undefined ? {} : { signInAgeSeconds }),
    ...(sourceIp === undefined ? {} : { sourceIp: toIp(sourceIp) }),
    ...(reason === undefined ? {} : { reason: reason.toWellFormed() }),
    ...(change === undefined ? {} : { change: change.toWellFormed() }),
  };
}

function toReference({ type, id }: Uid): CedarValueJson {
  return { __entity: { type, id } };
}

/** Gives an IPv4 address that came as IPv6 (`::ffff:10.0.0.1`) as what it is, so that IPv4 ranges match it. */
function toIp(sourceIp: string): CedarValueJson {
  const address = parseAddress(sourceIp);
  // Cedar would take a range for an address.
  if (address === undefined) throw new Error('the source address is not an address');
  return { __extn: { fn: 'ip', arg: address.replace(/^::ffff:(?=\d+\.)/, '') } };
}

/**
 * INVARIANT: an entity that is named is there. Cedar takes one that is missing for one without parents, and a forbid
 * about a subscription would not be about its targets.
 */
function requireClosed(entities: readonly Entity[], named: readonly Uid[]): void {
  const present = new Set(entities.map(({ uid }) => toKey(uid)));
  const missing = [...named, ...entities.flatMap(({ parents = [] }) => parents)].find(
    (uid) => !present.has(toKey(uid)),
  );
  if (missing !== undefined) throw new Error(`a ${missing.type} of the request is missing`);
}

function toKey({ type, id }: Uid): string {
  return JSON.stringify([type, id]);
}

/**
 * Lowers the case of ASCII letters alone: `toLowerCase` makes a plain "k" of the Kelvin sign (U+212A), and an id that
 * only looks alike would match. A lone surrogate, which Cedar cannot take, becomes U+FFFD.
 */
function toLower(text: string): string {
  return text.toWellFormed().replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
