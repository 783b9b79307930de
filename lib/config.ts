import * as z from 'zod';
import { createDialRule } from './address.ts';
import type { GatewayPool, Limits } from './broker.ts';
import type { Kinship } from './relation.ts';
import type { PublicJwk } from './root-key.ts';
import { publicJwkShape } from './root-key.ts';
import type { TrustedIssuer } from './trusted-issuer.ts';
import { isSecureUrl, parseTrustedIssuers } from './trusted-issuer.ts';
import type { Webhook } from './webhook.ts';
import { webhooksShape } from './webhook.ts';

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
  /** The container of the published policy sets, in place of the folder. */
  readonly policiesUrl?: URL;
  readonly kinship: Kinship;
  readonly mayDial: (host: string) => boolean;
  readonly managedIdentity?: string;
  /** How many proxies in front append to `X-Forwarded-For`; with 0 the header is not believed. */
  readonly proxyHops: number;
  /** Who is told what happens. */
  readonly webhooks: readonly Webhook[];
  /** Whether each audit entry is a line of the operator's log as well. */
  readonly logsAudit: boolean;
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

const containerUrl = secureUrl.refine(
  ({ pathname, search, hash }) => pathname !== '/' && search === '' && hash === '',
  'must be the URL of a container, without a query',
);

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

const kinship = json.pipe(
  z.strictObject({
    samePerson: z.array(z.array(z.string().min(1)).min(2)).default([]),
    // Compared in lower case, as client ids are GUIDs.
    appOwners: z.record(z.string().toLowerCase(), z.array(z.string().min(1))).default({}),
  }),
);

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
  SALLYPORT_POLICIES_URL: containerUrl.exactOptional(),
  SALLYPORT_KINSHIP: kinship.exactOptional(),
  SALLYPORT_ALLOWED_NETWORKS: dialRule.exactOptional(),
  AZURE_CLIENT_ID: z.guid().exactOptional(),
  SALLYPORT_PROXY_HOPS: count(0, 0, 10),
  SALLYPORT_WEBHOOKS: json.pipe(webhooksShape).exactOptional(),
  SALLYPORT_LOG_AUDIT: z.enum(['on', 'off'], 'must be on or off').default('off'),
  SALLYPORT_SESSIONS_PER_CALLER: count(10, 1, 1000),
  SALLYPORT_REQUESTS_PER_CALLER_MINUTE: count(120, 1, 60_000),
  SALLYPORT_REQUESTS_PER_TARGET_MINUTE: count(600, 1, 60_000),
  SALLYPORT_STARTS_PER_CALLER_DAY: count(20, 1, 1000),
  SALLYPORT_STARTS_PER_TARGET_DAY: count(10, 1, 1000),
  SALLYPORT_DEALLOCATE_AFTER_MINUTES: count(0, 0, 10_080),
  SALLYPORT_MAX_SESSION_SECONDS: count(28_800, 60, 86_400),
  SALLYPORT_MAX_CONNECTIONS: count(256, 1, 5000),
  SALLYPORT_LEASE_SECONDS: count(15, 1, 60),
  SALLYPORT_GRACE_SECONDS: count(120, 1, 3000),
});

/** The settings of a sealer, which may be another app: few of the broker's, and two of its own. */
export const sealerShape = environmentShape
  .pick({
    SALLYPORT_URL: true,
    SALLYPORT_TABLES_URL: true,
    SALLYPORT_ROOT_KEY: true,
    SALLYPORT_TRUSTED_ROOTS: true,
    AZURE_CLIENT_ID: true,
  })
  .extend({
    SALLYPORT_SEALER: z.enum(['on', 'off'], 'must be on or off').exactOptional(),
    SALLYPORT_CHECKPOINTS_URL: containerUrl.exactOptional(),
  });

/** Returns what the environment says of some settings, or throws one error that lists every one that is missing or wrong. */
export function readSettings<T>(
  shape: z.ZodType<T> & { readonly shape: object },
  environment: Environment,
): T {
  const known = Object.keys(shape.shape);
  // An empty setting is one that was not given: portals and templates write them.
  const given = known.flatMap((name) => {
    const value = environment[name];
    return value === undefined || value === '' ? [] : [[name, value] as const];
  });
  const parsed = shape.safeParse(Object.fromEntries(given));
  if (!parsed.success) throw new Error(explain(parsed.error, Object.fromEntries(given)));
  return parsed.data;
}

/** Returns the settings, or throws one error that lists every setting that is missing or wrong, by name and rule. */
export function parseConfig(environment: Environment): Config {
  const s = readSettings(environmentShape, environment);
  if (s.SALLYPORT_SUBSCRIPTIONS === undefined && s.SALLYPORT_INVENTORY === undefined)
    throw new Error(
      'The settings are not complete.\n  SALLYPORT_SUBSCRIPTIONS or SALLYPORT_INVENTORY: one must name targets',
    );
  if (s.SALLYPORT_POLICIES !== undefined && s.SALLYPORT_POLICIES_URL !== undefined)
    throw new Error(
      'The settings are not complete.\n  SALLYPORT_POLICIES or SALLYPORT_POLICIES_URL: give one of them',
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
    ...toPolicyPlace(s),
    kinship: s.SALLYPORT_KINSHIP ?? { samePerson: [], appOwners: {} },
    mayDial: s.SALLYPORT_ALLOWED_NETWORKS ?? createDialRule([]),
    ...(s.AZURE_CLIENT_ID === undefined ? {} : { managedIdentity: s.AZURE_CLIENT_ID }),
    proxyHops: s.SALLYPORT_PROXY_HOPS,
    webhooks: s.SALLYPORT_WEBHOOKS ?? [],
    logsAudit: s.SALLYPORT_LOG_AUDIT === 'on',
    limits: {
      sessionsPerCaller: s.SALLYPORT_SESSIONS_PER_CALLER,
      requestsPerCallerMinute: s.SALLYPORT_REQUESTS_PER_CALLER_MINUTE,
      requestsPerTargetMinute: s.SALLYPORT_REQUESTS_PER_TARGET_MINUTE,
      startsPerCallerDay: s.SALLYPORT_STARTS_PER_CALLER_DAY,
      startsPerTargetDay: s.SALLYPORT_STARTS_PER_TARGET_DAY,
      deallocateAfterMinutes: s.SALLYPORT_DEALLOCATE_AFTER_MINUTES,
      maxSessionSeconds: s.SALLYPORT_MAX_SESSION_SECONDS,
      maxConnections: s.SALLYPORT_MAX_CONNECTIONS,
      leaseSeconds: s.SALLYPORT_LEASE_SECONDS,
      graceSeconds: s.SALLYPORT_GRACE_SECONDS,
    },
  };
}

function toPolicyPlace({
  SALLYPORT_POLICIES: policies,
  SALLYPORT_POLICIES_URL: policiesUrl,
}: z.infer<typeof environmentShape>): Pick<Config, 'policies' | 'policiesUrl'> {
  if (policiesUrl !== undefined) return { policiesUrl };
  return policies === undefined ? {} : { policies };
}

function explain(error: z.ZodError, given: Readonly<Record<string, string>>): string {
  const lines = error.issues.map(({ path: [name, ...rest], message }) => {
    const setting = String(name);
    if (given[setting] === undefined) return `  ${setting}: is missing`;
    return `  ${[setting, ...rest.map(String)].join('.')}: ${message}`;
  });
  return ['The settings are not complete.', ...new Set(lines)].join('\n');
}
