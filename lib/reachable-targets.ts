import type { z } from 'zod';
import type { Broker } from './broker.ts';
import type { Caller } from './caller.ts';
import { toNotFound } from './not-found.ts';
import type { Circumstance } from './decide.ts';
import { toDecisionInput } from './decide.ts';
import { requireRole } from './role.ts';
import type { targetViewShape } from './session-view.ts';
import type { Target } from './target.ts';
import { targetsMilliseconds } from './target.ts';
import { parseTargetReference } from './target-reference.ts';

// A decision costs about half a millisecond, and a page should not hold the process for long.
const targetsPerPage = 200;

// What a caller is taken to ask for when all that is asked is whether: a target that wants a reason can be reached by
// those who give one.
const usualWish = {
  durationSeconds: 3600,
  reason: 'Given on request.',
  change: 'Given on request.',
};

export type TargetView = z.infer<typeof targetViewShape>;

/** A page of targets, and the id after which the next page starts. A page may be empty and not be the last. */
export type TargetPage = { readonly value: readonly TargetView[]; readonly after?: string };

/** Returns what the caller may reach now, by id. */
export async function listTargets(
  broker: Broker,
  caller: Caller,
  query: { readonly after?: string; readonly clientIp?: string },
): Promise<TargetPage> {
  requireRole(caller, 'Session.Request');
  const all = await broker.targets.list(AbortSignal.timeout(targetsMilliseconds));
  const { after } = query;
  const rest = all
    .filter((target) => after === undefined || after < target.id)
    .toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const page = rest.slice(0, targetsPerPage);
  const circumstance = toCircumstance(broker, query.clientIp);
  const value = page.flatMap((target) => viewTarget(broker, caller, target, circumstance) ?? []);
  const last = page.at(-1);
  return { value, ...(rest.length <= page.length || last === undefined ? {} : { after: last.id }) };
}

/** Returns one target that the caller may reach now. Absent and forbidden fail alike, with `not-found`. */
export async function readTarget(
  broker: Broker,
  caller: Caller,
  text: string,
  clientIp?: string,
): Promise<TargetView> {
  requireRole(caller, 'Session.Request');
  const reference = parseTargetReference(text);
  const target = await broker.targets.find(reference, AbortSignal.timeout(targetsMilliseconds));
  const view = target && viewTarget(broker, caller, target, toCircumstance(broker, clientIp));
  if (view === undefined) throw toNotFound();
  return view;
}

function toCircumstance(broker: Broker, clientIp: string | undefined): Circumstance {
  return { now: broker.now(), ...(clientIp === undefined ? {} : { clientIp }) };
}

function viewTarget(
  broker: Broker,
  caller: Caller,
  target: Target,
  circumstance: Circumstance,
): TargetView | undefined {
  const services = target.services.flatMap((service) => {
    const wish = { ...service, ...usualWish };
    const decision = broker.policy.decide(toDecisionInput(caller, target, wish, circumstance));
    return decision.outcome === 'allow' ? [{ ...service, terms: decision.terms }] : [];
  });
  if (services.length === 0) return undefined;
  const { id, name, armId, os, power } = target;
  return { id, name, ...(armId === undefined ? {} : { armId }), os, power, services };
}
