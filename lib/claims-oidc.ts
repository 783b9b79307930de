import * as z from 'zod';
import type { Caller, Person } from './caller.ts';
import { roles as knownRoles } from './caller.ts';
import { toShownName } from './claims-name.ts';
import type { Conditions, DelegationMapping, OidcIssuer } from './trusted-issuer.ts';

type Claims = Readonly<Record<string, unknown>>;

const claimsShape = z.record(z.string(), z.unknown());

// Printable ASCII, at most 255 (OpenID Connect Core 1.0, section 2): it ends in ids, keys and audit entries.
const subjectShape = z.string().regex(/^[\x21-\x7e]{1,255}$/);

const nameShape = z.string().optional();

const groupsShape = z.array(subjectShape).default([]);

// Of a chain of actors only the outermost counts (RFC 8693, section 4.1). One whose others nobody checks is refused.
const actorShape = z.looseObject({ act: z.never().optional() });

/**
 * Returns the caller that the claims of a workload token describe; where they name one that acts for a person (`act`,
 * RFC 8693, section 4.1), the caller is that one. Throws when a required claim is missing or has another value, when
 * there is no usable subject, and when the issuer may not say who acts for whom.
 */
export function readOidcCaller(issuer: OidcIssuer, payload: unknown): Caller {
  const claims = claimsShape.parse(payload);
  if (!isMet(issuer.require, claims)) throw new Error('a required claim has another value');
  if (!('act' in claims)) return toWorkload(issuer, claims);
  const { delegation } = issuer;
  if (delegation === undefined) throw new Error('the issuer may not say who acts for whom');
  const actor = actorShape.parse(claims['act']);
  // Subjects of another issuer could be spelled as ours are.
  if ('iss' in actor && actor['iss'] !== issuer.issuer)
    throw new Error('the actor is of another issuer');
  const workload = toWorkload(issuer, actor);
  const onBehalfOf = toPerson(issuer, delegation, claims);
  if (workload.id === onBehalfOf.id) throw new Error('the actor and the subject are one');
  // Its other roles are its own, and not for use in somebody's name.
  const roles = workload.roles.filter((role) => role === 'Session.Request');
  return { ...workload, roles, onBehalfOf };
}

function toWorkload(issuer: OidcIssuer, claims: Claims): Caller {
  const { mapping } = issuer;
  const subject = subjectShape.parse(claims[mapping.subject]);
  const granted = issuer.grants.filter(({ when }) => isMet(when, claims));
  return {
    id: `${issuer.name}.${subject}`,
    kind: 'workload',
    issuer: issuer.issuer,
    app: issuer.name,
    name: toShownName(readName(mapping.name, claims), subject),
    // Under the name of the issuer, so that it cannot put a caller in a group of Entra.
    groups: readGroups(mapping.groups, claims).map((group) => `${issuer.name}.${group}`),
    roles: knownRoles.filter((role) => granted.some(({ roles }) => roles.includes(role))),
    acrs: [],
    canStepUp: false,
  };
}

function toPerson(
  issuer: OidcIssuer,
  { tenant, subject: claim, name, groups }: DelegationMapping,
  claims: Claims,
): Person {
  const subject = subjectShape.parse(claims[claim]);
  const own = { issuer: issuer.issuer, app: issuer.name };
  const shown = toShownName(readName(name, claims), subject);
  const listed = readGroups(groups, claims);
  if (tenant === undefined) {
    const ours = listed.map((group) => `${issuer.name}.${group}`);
    return { ...own, id: `${issuer.name}.${subject}`, name: shown, groups: ours };
  }
  return {
    ...own,
    id: `${tenant}.${z.guid().parse(subject).toLowerCase()}`,
    name: shown,
    groups: listed,
  };
}

function readName(claim: string | undefined, claims: Claims): string | undefined {
  return claim === undefined ? undefined : nameShape.parse(claims[claim]);
}

function readGroups(claim: string | undefined, claims: Claims): readonly string[] {
  return claim === undefined ? [] : groupsShape.parse(claims[claim]);
}

function isMet(conditions: Conditions, claims: Claims): boolean {
  return Object.entries(conditions).every(([claim, wanted]) => {
    const value = claims[claim];
    return typeof value === 'string' && [wanted].flat().includes(value);
  });
}
