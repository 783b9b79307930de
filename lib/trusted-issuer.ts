import * as z from 'zod';
import { roles } from './caller.ts';

const personalAccounts = '9188040d-6c67-4c5b-b112-36a304b66dad';

// Every tool that manages Azure holds tokens for these, and each could pass one on as its user's.
const sharedAudiences: readonly string[] = [
  '797f4846-ba00-4fd7-ba43-dac1f8f63013', // Azure Resource Manager
  '00000002-0000-0000-c000-000000000000', // Azure AD Graph
  '00000003-0000-0000-c000-000000000000', // Microsoft Graph
];

const guid = z.guid('Give a GUID.').toLowerCase();

const issuerUrl = z
  .string()
  .refine(isIssuerUrl, 'Give an https URL without query, fragment or credentials.');

const appAudience = z
  .union([guid, z.string().regex(/^api:\/\/[\w.~/-]+$/)], 'Give a client id or an api:// URI.')
  .refine((audience) => !sharedAudiences.includes(audience), 'Register an app of your own.');

const conditions = z.record(z.string(), z.union([z.string(), z.array(z.string()).min(1)]));

const entraShape = z.strictObject({
  kind: z.literal('entra'),
  tenant: guid.refine((tenant) => tenant !== personalAccounts, 'Give the id of your own tenant.'),
  audience: z.array(appAudience).min(1),
  people: z.strictObject({ scope: z.string().min(1).default('Session.Request') }).prefault({}),
  /** Replaces the v1 and v2 issuers of the tenant: a sovereign cloud, or an issuer with v2 claims. */
  issuer: issuerUrl.optional(),
});

/** Where a token that names an actor says who the person is for whom that one acts. */
const delegationShape = z.strictObject({
  /** The trusted tenant whose people and groups the tokens name by their ids; people of the issuer's own when absent. */
  tenant: guid.optional(),
  subject: z.string().min(1).default('sub'),
  name: z.string().min(1).optional(),
  groups: z.string().min(1).optional(),
});

const oidcShape = z.strictObject({
  kind: z.literal('oidc'),
  /** The first part of the caller ids; shorter than a GUID, so that it cannot pass for a tenant. */
  name: z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'Give a name of a-z, 0-9 and hyphens.'),
  issuer: issuerUrl,
  audience: z.array(z.string().min(1)).min(1),
  /** What every token must claim. */
  require: conditions.refine(
    (required) => Object.keys(required).length > 0,
    'Require a claim: an issuer such as GitHub gives tokens to everybody.',
  ),
  /** The claims that hold the subject (immutable), the name to show, and the list of groups. */
  mapping: z
    .strictObject({
      subject: z.string().min(1).default('sub'),
      name: z.string().min(1).optional(),
      groups: z.string().min(1).optional(),
    })
    .prefault({}),
  /** The roles of those who claim what `when` says; an issuer that is not Entra does not assign ours. */
  grants: z
    .array(z.strictObject({ roles: z.array(z.enum(roles)).min(1), when: conditions.default({}) }))
    .default([]),
  /** Lets the issuer say that a workload acts for a person (`act`, RFC 8693). Without it, its tokens that do are refused. */
  delegation: delegationShape.optional(),
});

const listShape = z
  .array(z.discriminatedUnion('kind', [entraShape, oidcShape]))
  .min(1)
  .refine((issuers) => isUnique(issuers.flatMap(toIssuerUrls)), 'Name each issuer once.')
  .refine((issuers) => isUnique(issuers.map(toTenant)), 'Give each issuer a name of its own.')
  .refine(areTenantsTrusted, 'As the tenant of a delegation, name one that is in this list.');

/** Claims and the values that they may have. */
export type Conditions = Readonly<Record<string, string | readonly string[]>>;

/** A Microsoft Entra tenant, whose tokens carry our app roles and scope. */
export type EntraIssuer = Readonly<z.infer<typeof entraShape>>;

/** An issuer of workload tokens (OpenID Connect), for example GitHub Actions or a Kubernetes cluster. */
export type OidcIssuer = Readonly<z.infer<typeof oidcShape>>;

/** Where the tokens of an issuer say for whom a workload acts. */
export type DelegationMapping = NonNullable<OidcIssuer['delegation']>;

/** An issuer whose tokens prove who a caller is. */
export type TrustedIssuer = EntraIssuer | OidcIssuer;

/** Returns the trusted issuers of a configuration, or throws with one line for each fault and where it is. */
export function parseTrustedIssuers(json: unknown): readonly TrustedIssuer[] {
  const parsed = listShape.safeParse(json);
  if (!parsed.success) throw new Error(z.prettifyError(parsed.error));
  return parsed.data;
}

/** Returns the `iss` values that tokens of the issuer may have; the first is that of its metadata. */
export function toIssuerUrls(trusted: TrustedIssuer): readonly [string, ...string[]] {
  if (trusted.kind === 'oidc') return [trusted.issuer];
  if (trusted.issuer !== undefined) return [trusted.issuer];
  return [
    `https://login.microsoftonline.com/${trusted.tenant}/v2.0`,
    `https://sts.windows.net/${trusted.tenant}/`,
  ];
}

/** Whether what is read from the URL comes from who it names: https, or http that does not leave this machine. */
export function isSecureUrl(url: URL): boolean {
  const isLoopback = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback);
}

function isIssuerUrl(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || !isSecureUrl(url) || /[?#@]/.test(text)) return false;
  // Issuers are compared as text, so a spelling that nobody else would write is a mistake.
  return url.href === text || url.href === `${text}/`;
}

function toTenant(issuer: TrustedIssuer): string {
  return issuer.kind === 'entra' ? issuer.tenant : issuer.name;
}

function areTenantsTrusted(issuers: readonly TrustedIssuer[]): boolean {
  const trusted = new Set(issuers.map(toTenant));
  return issuers.every((issuer) => {
    const tenant = issuer.kind === 'oidc' ? issuer.delegation?.tenant : undefined;
    return tenant === undefined || trusted.has(tenant);
  });
}

function isUnique(values: readonly string[]): boolean {
  return new Set(values).size === values.length;
}
