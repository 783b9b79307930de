import * as z from 'zod';
import type { Caller } from './caller.ts';
import { roles as knownRoles } from './caller.ts';
import { toShownName } from './claims-name.ts';
import type { Conditions, OidcIssuer } from './trusted-issuer.ts';

type Claims = Readonly<Record<string, unknown>>;

const claimsShape = z.record(z.string(), z.unknown());

// Printable ASCII, at most 255 (OpenID Connect Core 1.0, section 2): it ends in ids, keys and audit entries.
const subjectShape = z.string().regex(/^[\x21-\x7e]{1,255}$/);

const nameShape = z.string().optional();

const groupsShape = z.array(subjectShape).default([]);

/**
 * Returns the caller that the claims of a workload token describe. Throws when a required claim is missing or has
 * another value, and when there is no usable subject.
 */
export function readOidcCaller(issuer: OidcIssuer, payload: unknown): Caller {
  const claims = claimsShape.parse(payload);
  if (!isMet(issuer.require, claims)) throw new Error('a required claim has another value');
  const { mapping } = issuer;
  const subject = subjectShape.parse(claims[mapping.subject]);
  const name = mapping.name === undefined ? undefined : nameShape.parse(claims[mapping.name]);
  const groups = mapping.groups === undefined ? [] : groupsShape.parse(claims[mapping.groups]);
  const granted = issuer.grants.filter(({ when }) => isMet(when, claims));
  return {
    id: `${issuer.name}.${subject}`,
    kind: 'workload',
    issuer: issuer.issuer,
    app: issuer.name,
    name: toShownName(name, subject),
    // Under the name of the issuer, so that it cannot put a caller in a group of Entra.
    groups: groups.map((group) => `${issuer.name}.${group}`),
    roles: knownRoles.filter((role) => granted.some(({ roles }) => roles.includes(role))),
    acrs: [],
    canStepUp: false,
  };
}

function isMet(conditions: Conditions, claims: Claims): boolean {
  return Object.entries(conditions).every(([claim, wanted]) => {
    const value = claims[claim];
    return typeof value === 'string' && [wanted].flat().includes(value);
  });
}
