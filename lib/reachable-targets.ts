import type { z } from 'zod';
import type { Broker } from './broker.ts';
import type { Caller } from './caller.ts';
import { toNotFound } from './not-found.ts';
import type { Circumstance } from './decide.ts';
import { toDecisionInput } from './decide.ts';
import type { Decision } from './decision.ts';
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
    const decide = (profile: object): Offered | undefined => {
      const wish = { ...service, ...usualWish, ...profile };
      const input = toDecisionInput(caller, target, wish, circumstance);
      return toOffered(broker.policy.decide(input));
    };
    const best = decide({});
    if (best === undefined) return [];
    const profiles = (broker.policy.profiles ?? []).flatMap((profile) => {
      const offered = decide({ profile });
      return offered === undefined ? [] : [{ name: profile, ...offered }];
    });
    return [{ ...service, ...best, ...(profiles.length === 0 ? {} : { profiles }) }];
  });
  if (services.length === 0) return undefined;
  const { id, name, armId, os, power } = target;
  return { id, name, ...(armId === undefined ? {} : { armId }), os, power, services };
}

type Offered = Pick<TargetView['services'][number], 'terms' | 'needs'>;

// What an approval or a stronger sign-in would open can be reached, too.
function toOffered(decision: Decision): Offered | undefined {
  if (decision.outcome === 'deny') return undefined;
  const { terms } = decision;
  return decision.outcome === 'allow' ? { terms } : { terms, needs: [...decision.needs] };
}
