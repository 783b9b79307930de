import * as z from 'zod';
import { createDialRule } from './address.ts';
import type { GatewayPool, Limits } from './broker.ts';
import type { PublicJwk } from './root-key.ts';
import { publicJwkShape } from './root-key.ts';
import type { TrustedIssuer } from './trusted-issuer.ts';
import { isSecureUrl, parseTrustedIssuers } from './trusted-issuer.ts';

/** Where people sign in, as the discovery document tells clients. */
type Login = { readonly issuer: string; readonly clientId: string; readonly scope: string };

/** The settings of the broker. Each is one row in `docs/operate.md`. */
export type Config = {
  readonly url: URL;
  readonly issuers: readonly TrustedIssuer[];
  readonly login?: Login;
  readonly gateway: GatewayPool;
  readonly tablesUrl: URL;
  /** `file:` in local mode, `https:` of a Key Vault key otherwise. */
  readonly rootKey: URL;
  /** Root keys that are trusted besides the one that signs, while they rotate. */
  readonly trustedRoots: readonly PublicJwk[];
  readonly subscriptions: readonly string[];
  readonly inventory?: string;
  readonly policies?: string;
  readonly mayDial: (host: string) => boolean;
  readonly managedIdentity?: string;
  /** How many proxies in front append to `X-Forwarded-For`; with 0 the header is not believed. */
  readonly proxyHops: number;
  readonly limits: Limits;
};

/** The environment of the process. */
export type Environment = Readonly<Record<string, string | undefined>>;

const url = z.string().transform((text, context) => {
  if (URL.canParse(text)) return new URL(text);
  context.addIssue('must be a URL');
  return z.NEVER;
});

const secureUrl = url.refine(isSecureUrl, 'must be an https: URL (http: only on loopback)');

const json = z.string().transform((text, context): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    context.addIssue('must be JSON');
    return z.NEVER;
  }
});

const list = z.string().transform((text) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== ''),
);

const gateway = json.pipe(
  z.strictObject({
    id: z.string().regex(/^[a-z0-9-]{1,40}$/, 'must be lower-case letters, digits and hyphens'),
    url: url.refine((parsed) => parsed.protocol === 'wss:', 'must be a wss: URL'),
    caller: z.string().min(1),
  }),
);

const login = json.pipe(
  z.strictObject({ issuer: z.url(), clientId: z.string().min(1), scope: z.string().min(1) }),
);

const issuers = json.transform((value, context) => {
  try {
    return parseTrustedIssuers(value);
  } catch (failure) {
    context.addIssue(failure instanceof Error ? failure.message : 'is not valid');
    return z.NEVER;
  }
});

const dialRule = list.transform((networks, context) => {
  try {
    return createDialRule(networks);
  } catch (failure) {
    context.addIssue(failure instanceof Error ? failure.message : 'is not valid');
    return z.NEVER;
  }
});

function count(standard: number, least: number, most: number) {
  const rule = `must be a whole number from ${String(least)} to ${String(most)}`;
  return z
    .string()
    .regex(/^\d{1,7}$/, rule)
    .transform(Number)
    .refine((value) => least <= value && value <= most, rule)
    .prefault(String(standard));
}

const environmentShape = z.object({
  SALLYPORT_URL: secureUrl,
  SALLYPORT_ISSUERS: issuers,
  SALLYPORT_LOGIN: login.exactOptional(),
  SALLYPORT_GATEWAY: gateway,
  SALLYPORT_TABLES_URL: secureUrl,
  SALLYPORT_ROOT_KEY: url.refine(
    (parsed) => parsed.protocol === 'file:' || parsed.protocol === 'https:',
    'must be a file: URL, or the https: URL of a Key Vault key',
  ),
  SALLYPORT_TRUSTED_ROOTS: json
    .pipe(z.strictObject({ keys: z.array(publicJwkShape) }))
    .exactOptional(),
  SALLYPORT_SUBSCRIPTIONS: list
    .pipe(z.array(z.guid('must be subscription ids, separated by commas')))
    .exactOptional(),
  SALLYPORT_INVENTORY: z.string().min(1).exactOptional(),
  SALLYPORT_POLICIES: z.string().min(1).exactOptional(),
  SALLYPORT_ALLOWED_NETWORKS: dialRule.exactOptional(),
  AZURE_CLIENT_ID: z.guid().exactOptional(),
  SALLYPORT_PROXY_HOPS: count(0, 0, 10),
  SALLYPORT_SESSIONS_PER_CALLER: count(10, 1, 1000),
  SALLYPORT_REQUESTS_PER_CALLER_MINUTE: count(120, 1, 60_000),
  SALLYPORT_REQUESTS_PER_TARGET_MINUTE: count(600, 1, 60_000),
  SALLYPORT_MAX_SESSION_SECONDS: count(28_800, 60, 86_400),
  SALLYPORT_MAX_CONNECTIONS: count(256, 1, 5000),
  SALLYPORT_LEASE_SECONDS: count(15, 1, 60),
  SALLYPORT_GRACE_SECONDS: count(120, 1, 3000),
});

/** Returns the settings, or throws one error that lists every setting that is missing or wrong, by name and rule. */
export function parseConfig(environment: Environment): Config {
  const known = Object.keys(environmentShape.shape);
  // An empty setting is one that was not given: portals and templates write them.
  const given = known.flatMap((name) => {
    const value = environment[name];
    return value === undefined || value === '' ? [] : [[name, value] as const];
  });
  const parsed = environmentShape.safeParse(Object.fromEntries(given));
  if (!parsed.success) throw new Error(explain(parsed.error, Object.fromEntries(given)));
  const s = parsed.data;
  if (s.SALLYPORT_SUBSCRIPTIONS === undefined && s.SALLYPORT_INVENTORY === undefined)
    throw new Error(
      'The settings are not complete.\n  SALLYPORT_SUBSCRIPTIONS or SALLYPORT_INVENTORY: one must name targets',
    );
  return toConfig(s);
}

function toConfig(s: z.infer<typeof environmentShape>): Config {
  return {
    url: s.SALLYPORT_URL,
    issuers: s.SALLYPORT_ISSUERS,
    ...(s.SALLYPORT_LOGIN === undefined ? {} : { login: s.SALLYPORT_LOGIN }),
    gateway: s.SALLYPORT_GATEWAY,
    tablesUrl: s.SALLYPORT_TABLES_URL,
    rootKey: s.SALLYPORT_ROOT_KEY,
    trustedRoots: s.SALLYPORT_TRUSTED_ROOTS?.keys ?? [],
    subscriptions: (s.SALLYPORT_SUBSCRIPTIONS ?? []).map((id) => id.toLowerCase()),
    ...(s.SALLYPORT_INVENTORY === undefined ? {} : { inventory: s.SALLYPORT_INVENTORY }),
    ...(s.SALLYPORT_POLICIES === undefined ? {} : { policies: s.SALLYPORT_POLICIES }),
    mayDial: s.SALLYPORT_ALLOWED_NETWORKS ?? createDialRule([]),
    ...(s.AZURE_CLIENT_ID === undefined ? {} : { managedIdentity: s.AZURE_CLIENT_ID }),
    proxyHops: s.SALLYPORT_PROXY_HOPS,
    limits: {
      sessionsPerCaller: s.SALLYPORT_SESSIONS_PER_CALLER,
      requestsPerCallerMinute: s.SALLYPORT_REQUESTS_PER_CALLER_MINUTE,
      requestsPerTargetMinute: s.SALLYPORT_REQUESTS_PER_TARGET_MINUTE,
      maxSessionSeconds: s.SALLYPORT_MAX_SESSION_SECONDS,
      maxConnections: s.SALLYPORT_MAX_CONNECTIONS,
      leaseSeconds: s.SALLYPORT_LEASE_SECONDS,
      graceSeconds: s.SALLYPORT_GRACE_SECONDS,
    },
  };
}

function explain(error: z.ZodError, given: Readonly<Record<string, string>>): string {
  const lines = error.issues.map(({ path: [name, ...rest], message }) => {
    const setting = String(name);
    if (given[setting] === undefined) return `  ${setting}: is missing`;
    return `  ${[setting, ...rest.map(String)].join('.')}: ${message}`;
  });
  return ['The settings are not complete.', ...new Set(lines)].join('\n');
}
