import type { Caller } from './caller.ts';
import type { DecisionInput } from './decision.ts';
import { BrokerError } from './failure.ts';
import type { Service, Target } from './target.ts';

// A row of the audit table holds 32,000 characters, and the input stands in one with all that is around it.
const maxInputCharacters = 24_000;

/** What is asked of a target, without who asks. */
export type Wish = Service & {
  readonly durationSeconds: number;
  readonly reason?: string;
  readonly change?: string;
  readonly profile?: string;
  readonly approvals?: NonNullable<DecisionInput['context']['approvals']>;
};

/** Where and when something was asked. */
export type Circumstance = { readonly now: Date; readonly clientIp?: string };

/** Fails with `groups-unknown` when the token does not list all groups: an absent group could hide a forbid. */
export function readGroups(caller: Caller): string[] {
  if (caller.groups === 'unknown')
    throw new BrokerError(
      'groups-unknown',
      'Your token names too many groups to list them. Ask the operator to limit the groups claim to the groups assigned to the application.',
    );
  return [...caller.groups];
}

/** Puts together all that a decision depends on. */
export function toDecisionInput(
  caller: Caller,
  target: Target,
  wish: Wish,
  { now, clientIp }: Circumstance,
): DecisionInput {
  const seconds = Math.floor(now.getTime() / 1000);
  const input: DecisionInput = {
    caller: {
      id: caller.id,
      kind: caller.kind,
      app: caller.app,
      issuer: caller.issuer,
      groups: readGroups(caller),
      acrs: [...caller.acrs],
    },
    ...toDelegated(caller, seconds),
    target: toTargetFacts(target),
    action: `connect.${wish.protocol}`,
    context: {
      port: wish.port,
      now: seconds,
      durationSeconds: wish.durationSeconds,
      ...(caller.signedInAt === undefined
        ? {}
        : { signInAgeSeconds: Math.max(0, seconds - caller.signedInAt) }),
      ...(clientIp === undefined ? {} : { sourceIp: clientIp }),
      ...(wish.reason === undefined ? {} : { reason: wish.reason }),
      ...(wish.change === undefined ? {} : { change: wish.change }),
      ...(wish.profile === undefined ? {} : { profile: wish.profile }),
      ...(wish.approvals === undefined ? {} : { approvals: wish.approvals }),
    },
  };
  return requireRecordable(input);
}

function toDelegated(
  { onBehalfOf, delegation }: Caller,
  now: number,
): Pick<DecisionInput, 'onBehalfOf' | 'delegation'> {
  if (onBehalfOf === undefined) return {};
  const { id, app, issuer, groups, signedInAt } = onBehalfOf;
  const person: NonNullable<DecisionInput['onBehalfOf']> = {
    id,
    kind: 'person',
    app,
    issuer,
    groups: [...groups],
    // What a person has satisfied they satisfied in their own presence: it does not pass to others.
    acrs: [],
    ...(signedInAt === undefined ? {} : { signInAgeSeconds: Math.max(0, now - signedInAt) }),
  };
  if (delegation === undefined) return { onBehalfOf: person };
  const expiresAt = Math.floor(delegation.expiresAt.getTime() / 1000);
  const { id: named, terms } = delegation;
  return { onBehalfOf: person, delegation: { id: named, terms, expiresAt } };
}

/** Returns what a decision takes from a target. */
export function toTargetFacts(target: Target): DecisionInput['target'] {
  const { id, name, subscription, resourceGroup, os, tags } = target;
  return { id, name, subscription, resourceGroup, os, tags: { ...tags } };
}

/** Returns the input, or fails with `request-invalid` when no audit entry can hold it. */
export function requireRecordable(input: DecisionInput): DecisionInput {
  if (maxInputCharacters < JSON.stringify(input).length)
    throw new BrokerError(
      'request-invalid',
      'The target has more tags than an audit entry can hold. Ask the operator to remove some.',
    );
  return input;
}
