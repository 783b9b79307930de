import * as z from 'zod';
import type { Caller, Role } from './caller.ts';
import { roles as knownRoles } from './caller.ts';
import { toShownName } from './claims-name.ts';
import type { EntraIssuer } from './trusted-issuer.ts';
import { toIssuerUrls } from './trusted-issuer.ts';

const guid = z.guid().toLowerCase();
const texts = z.array(z.string());

const claimsShape = z.object({
  iss: z.string(),
  // A token for several audiences could be one that another service passes on.
  aud: z.string(),
  ver: z.enum(['1.0', '2.0']),
  tid: guid,
  oid: guid,
  sub: z.string(),
  // v1 and v2. Access tokens name their client; an id token does not, and must not pass for one.
  appid: z.string().optional(),
  azp: z.string().optional(),
  idtyp: z.enum(['user', 'app']).optional(),
  scp: z.string().optional(),
  roles: texts.default([]),
  groups: z.array(guid).default([]),
  hasgroups: z.unknown().optional(),
  _claim_names: z.record(z.string(), z.unknown()).default({}),
  acrs: texts.default([]),
  xms_cc: texts.default([]),
  auth_time: z.int().optional(),
  name: z.string().optional(),
  preferred_username: z.string().optional(),
  upn: z.string().optional(),
  unique_name: z.string().optional(),
  app_displayname: z.string().optional(),
  // Somebody else acts with it (RFC 8693, section 4.1), and Entra's own tokens never say so.
  act: z.never().optional(),
});

type Claims = z.infer<typeof claimsShape>;

/** Returns the caller that the claims of an Entra access token describe, v1 or v2. Throws when they are of something else. */
export function readEntraCaller(issuer: EntraIssuer, payload: unknown): Caller {
  const claims = claimsShape.parse(payload);
  const [v2Issuer, v1Issuer] = toIssuerUrls(issuer);
  if (claims.iss !== (claims.ver === '1.0' ? v1Issuer : v2Issuer))
    throw new Error('the issuer is not that of the version');
  if (claims.tid !== issuer.tenant) throw new Error('the tenant is another');
  const app = claims.ver === '1.0' ? claims.appid : claims.azp;
  if (app === undefined) throw new Error('no client is named, so it is no access token');
  const kind = readKind(claims);
  return {
    id: `${claims.tid}.${claims.oid}`,
    kind,
    issuer: claims.iss,
    app,
    name: toShownName(findName(claims), claims.oid),
    groups: readGroups(claims),
    roles: readRoles(claims, issuer.people.scope),
    acrs: claims.acrs,
    canStepUp: claims.xms_cc.some((capability) => capability.toLowerCase() === 'cp1'),
    ...(claims.auth_time === undefined ? {} : { signedInAt: claims.auth_time }),
  };
}

function readKind({ idtyp, scp, sub, oid }: Claims): Caller['kind'] {
  if (scp !== undefined && idtyp !== 'app') return 'person';
  // `idtyp` is an optional claim. Without it, only an app is its own subject; a person's is pairwise.
  const isApp = idtyp === undefined ? sub.toLowerCase() === oid : idtyp === 'app';
  if (scp === undefined && isApp) return 'workload';
  throw new Error('the token is neither that of a person nor that of an app alone');
}

function readGroups({ _claim_names: elsewhere, hasgroups, groups }: Claims): Caller['groups'] {
  // Overage: more groups than fit. An empty list here would be "in no group", which forbids less.
  const isMore = 'groups' in elsewhere || (hasgroups ?? false) !== false;
  return isMore ? 'unknown' : groups;
}

function readRoles({ scp, roles }: Claims, scope: string): readonly Role[] {
  if (scp === undefined) return knownRoles.filter((role) => roles.includes(role));
  // The scope is what the person lets the app do; without it, the app may not use the person's roles either.
  if (!scp.split(' ').includes(scope)) return [];
  return knownRoles.filter((role) => role === 'Session.Request' || roles.includes(role));
}

function findName(claims: Claims): string | undefined {
  return (
    claims.name ??
    claims.preferred_username ??
    claims.upn ??
    claims.unique_name ??
    claims.app_displayname
  );
}
