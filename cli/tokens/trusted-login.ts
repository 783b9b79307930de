import { CommandError } from '../command-error.ts';
import { exitCodes } from '../exit-code.ts';
import { isLoopback, parseSafeUrl } from '../safe-url.ts';
import type { Settings } from '../settings.ts';

// INVARIANT: what a broker says about itself never decides alone for whom a token is made or to whom a secret is sent. A
// hostile broker would name the resource manager of Azure and get a token for it.

const microsoftHosts: ReadonlySet<string> = new Set([
  'login.microsoftonline.com',
  'login.microsoftonline.us',
  'login.partner.microsoftonline.cn',
  'login.chinacloudapi.cn',
]);

// The applications of Microsoft that hold what is worth most; any other goes by a URL.
const firstPartyApps: ReadonlySet<string> = new Set([
  '00000001-0000-0000-c000-000000000000', // Azure ESTS
  '00000002-0000-0000-c000-000000000000', // Azure AD Graph
  '00000002-0000-0ff1-ce00-000000000000', // Exchange
  '00000003-0000-0000-c000-000000000000', // Graph
  '00000003-0000-0ff1-ce00-000000000000', // SharePoint
  '00000007-0000-0000-c000-000000000000', // Dynamics CRM
  '0000000a-0000-0000-c000-000000000000', // Intune
  '00000009-0000-0000-c000-000000000000', // Power BI
  '022907d3-0f1b-48f7-badc-1ba6abab6d66', // SQL
  '123cd850-d9df-40bd-94d5-c9f07b7fa203', // PostgreSQL and MySQL
  '2746ea77-4702-4b45-80ca-3c97e680e8b7', // Data Explorer
  '2ff814a6-3304-4ab8-85cb-cd0e6f879c1d', // Databricks
  '372140e0-b3b7-4226-8ef9-d57986796201', // Windows VM sign-in
  '499b84ac-1321-427f-aa17-267ca6975798', // DevOps
  '6dae42f8-4368-4678-94ff-3960e28e3630', // Kubernetes Service
  '797f4846-ba00-4fd7-ba43-dac1f8f63013', // Resource Manager
  'ca7f3f0b-7d91-482c-8e09-c5d840d0eac5', // Log Analytics
  'cfa8b339-82a2-471a-a3c9-0fc0be7a4093', // Key Vault
  'ce34e7e5-485f-4d76-964f-b3d2b16d1e4f', // Linux VM sign-in
  'e406a681-f3d4-42a8-90b6-c2b029497af1', // Storage
]);

const guid = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/;

/** Returns the scopes that a broker named, or fails with `signIn` when one of them could be good for anything else. */
export function parseOwnScope(scope: string): string {
  for (const part of scope.split(' ')) parseOwnAudience(part.slice(0, part.lastIndexOf('/')));
  return scope;
}

/** Returns the audience that a broker named, or fails with `signIn` when it could be that of anything else. */
export function parseOwnAudience(audience: string): string {
  const name = audience.toLowerCase();
  const isApp = guid.test(name) && !firstPartyApps.has(name);
  // With a token for the exchange, its holder gets tokens of the workload for anything.
  if (isApp || (/^api:\/\/./.test(name) && !name.startsWith('api://azureadtokenexchange')))
    return audience;
  throw new CommandError(
    exitCodes.signIn,
    `The broker asks for a token for '${audience}', which may not be its own. Name its audience with --audience if you trust it.`,
  );
}

/** Whether the tokens of an issuer are good for more than brokers. */
export function isMicrosoft(issuer: string): boolean {
  return microsoftHosts.has(new URL(issuer).host);
}

/** Returns the issuer to which a client secret may be sent: the user's own, or the broker's where its host is known. */
export function chooseSecretIssuer(settings: Settings, broker: URL, named: string): string {
  if (settings.issuer !== undefined) return settings.issuer;
  const url = parseSafeUrl(named, 'https:');
  const isKnown =
    url !== undefined &&
    (url.host === broker.host || isLoopback(url.hostname) || isMicrosoft(named));
  if (isKnown) return named;
  throw new CommandError(
    exitCodes.signIn,
    `The broker asks for the client secret to be sent to ${named}. Name the issuer with --issuer if you trust it.`,
  );
}
