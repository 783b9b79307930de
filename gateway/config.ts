import { isIP } from 'node:net';
import * as z from 'zod';
import { createDialRule } from '../lib/address.ts';

/** Where the gateway's own token comes from: the client credentials grant, or the managed identity of the platform. */
export type TokenSettings =
  | {
      readonly kind: 'credentials';
      readonly url: URL;
      readonly clientId: string;
      /** A path: a secret in the environment would be in every crash dump and process list. */
      readonly clientSecretFile: string;
      readonly scope: string;
    }
  | {
      readonly kind: 'managed';
      readonly endpoint: URL;
      readonly header: string;
      readonly resource: string;
    };

/** The settings of a gateway process. */
export type Config = {
  /** The base of the broker's API; ends in a slash. */
  readonly broker: URL;
  /** What tickets name as their issuer: the origin of the broker's public URL. */
  readonly issuer: string;
  /** The id of the pool, which tickets name as their audience. */
  readonly gateway: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly tls: { readonly certificateFile: string; readonly keyFile: string };
  readonly rootKeysFile: string;
  /** Ranges that may be dialled though they are forbidden by default. */
  readonly allowedNetworks: readonly string[];
  /** Origins of the pages that may connect. */
  readonly allowedOrigins: readonly string[];
  readonly maxConnections: number;
  readonly maxConnectionsPerCaller: number;
  /** How long live connections may go on after SIGTERM. */
  readonly drainSeconds: number;
  readonly token: TokenSettings;
};

type Environment = Readonly<Record<string, string | undefined>>;

const url = setting('an https URL without query, or an http URL of this machine', parseServiceUrl);
const file = setting('the path of a file', (text) => text);
const word = setting('one word', (text) => (/^\S+$/.test(text) ? text : undefined));

const settingsShape = z.object({
  SALLYPORT_BROKER_URL: url,
  SALLYPORT_BROKER_ISSUER: url.optional(),
  SALLYPORT_GATEWAY_ID: word,
  SALLYPORT_LISTEN: setting('host:port, the host a literal address', parseListen),
  SALLYPORT_TLS_CERT: file,
  SALLYPORT_TLS_KEY: file,
  SALLYPORT_ROOT_KEYS: file,
  SALLYPORT_ALLOWED_NETWORKS: setting(
    'a comma list of ranges such as 127.0.0.0/8',
    parseNetworks,
  ).optional(),
  SALLYPORT_ALLOWED_ORIGINS: setting(
    'a comma list of origins such as https://portal.example',
    parseOrigins,
  ).optional(),
  // One lease call names all connections, and the broker takes 10,000.
  SALLYPORT_MAX_CONNECTIONS: wholeNumber(1, 9000).optional(),
  SALLYPORT_MAX_CONNECTIONS_PER_CALLER: wholeNumber(1, 9000).optional(),
  SALLYPORT_DRAIN_SECONDS: wholeNumber(0, 86_400).optional(),
});

const credentialsShape = z
  .object({
    SALLYPORT_TOKEN_URL: url,
    SALLYPORT_CLIENT_ID: word,
    SALLYPORT_CLIENT_SECRET_FILE: file,
    SALLYPORT_TOKEN_SCOPE: setting('the scopes to ask for', (text) => text),
  })
  .transform((settings): TokenSettings => ({
    kind: 'credentials',
    url: settings.SALLYPORT_TOKEN_URL,
    clientId: settings.SALLYPORT_CLIENT_ID,
    clientSecretFile: settings.SALLYPORT_CLIENT_SECRET_FILE,
    scope: settings.SALLYPORT_TOKEN_SCOPE,
  }));

const managedShape = z
  .object({
    SALLYPORT_TOKEN_RESOURCE: word,
    IDENTITY_ENDPOINT: setting('the URL that the platform gives', parseUrl),
    IDENTITY_HEADER: word,
  })
  .transform((settings): TokenSettings => ({
    kind: 'managed',
    endpoint: settings.IDENTITY_ENDPOINT,
    header: settings.IDENTITY_HEADER,
    resource: settings.SALLYPORT_TOKEN_RESOURCE,
  }));

/** Returns the settings, or throws once with the name and rule of every one that is missing or wrong. */
export function parseConfig(env: Environment): Config {
  const given = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value.trim() !== ''),
  );
  const settings = settingsShape.safeParse(given);
  const isManaged = given['SALLYPORT_TOKEN_RESOURCE'] !== undefined;
  const token = (isManaged ? managedShape : credentialsShape).safeParse(given);
  if (settings.success && token.success) return toConfig(settings.data, token.data);
  const issues = [...(settings.error?.issues ?? []), ...(token.error?.issues ?? [])];
  const lines = issues.map(({ path, message }) => `${path.join('.')} must be ${message}.`);
  throw new Error(['The gateway cannot start:', ...new Set(lines)].join('\n'));
}

function toConfig(settings: z.infer<typeof settingsShape>, token: TokenSettings): Config {
  const broker = new URL(settings.SALLYPORT_BROKER_URL);
  if (!broker.pathname.endsWith('/')) broker.pathname += '/';
  return {
    broker,
    issuer: (settings.SALLYPORT_BROKER_ISSUER ?? broker).origin,
    gateway: settings.SALLYPORT_GATEWAY_ID,
    listen: settings.SALLYPORT_LISTEN,
    tls: { certificateFile: settings.SALLYPORT_TLS_CERT, keyFile: settings.SALLYPORT_TLS_KEY },
    rootKeysFile: settings.SALLYPORT_ROOT_KEYS,
    allowedNetworks: settings.SALLYPORT_ALLOWED_NETWORKS ?? [],
    allowedOrigins: settings.SALLYPORT_ALLOWED_ORIGINS ?? [],
    maxConnections: settings.SALLYPORT_MAX_CONNECTIONS ?? 2000,
    maxConnectionsPerCaller: settings.SALLYPORT_MAX_CONNECTIONS_PER_CALLER ?? 200,
    drainSeconds: settings.SALLYPORT_DRAIN_SECONDS ?? 30,
    token,
  };
}

// The message of an issue is the rule alone: a wrong value may be a secret in the wrong place.
function setting<T>(
  rule: string,
  parse: (text: string) => T | undefined,
): z.ZodPipe<z.ZodString, z.ZodTransform<Awaited<T>, string>> {
  return z.string({ error: rule }).transform((text, context) => {
    const value = parse(text.trim());
    if (value !== undefined) return value;
    context.addIssue({ code: 'custom', message: rule });
    return z.NEVER;
  });
}

function wholeNumber(min: number, max: number): ReturnType<typeof setting<number>> {
  return setting(`a whole number from ${min} to ${max}`, (text) => {
    const value = Number(text);
    return /^\d+$/.test(text) && min <= value && value <= max ? value : undefined;
  });
}

function parseUrl(text: string): URL | undefined {
  const parsed = URL.parse(text);
  return parsed?.protocol === 'https:' || parsed?.protocol === 'http:' ? parsed : undefined;
}

function parseServiceUrl(text: string): URL | undefined {
  const parsed = parseUrl(text);
  if (parsed === undefined || parsed.search !== '' || parsed.hash !== '' || parsed.username !== '')
    return undefined;
  const isLoopback = /^(127(\.\d+){3}|\[::1\]|localhost)$/.test(parsed.hostname);
  return parsed.protocol === 'https:' || isLoopback ? parsed : undefined;
}

function parseListen(text: string): { host: string; port: number } | undefined {
  const [, bracketed, plain, portText] = /^(?:\[(.+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain ?? '';
  const port = Number(portText);
  if (isIP(host) !== (bracketed === undefined ? 4 : 6) || port > 65_535) return undefined;
  return { host, port };
}

function parseNetworks(text: string): readonly string[] | undefined {
  const networks = toList(text);
  try {
    createDialRule(networks);
    return networks;
  } catch {
    return undefined;
  }
}

function parseOrigins(text: string): readonly string[] | undefined {
  const origins = toList(text);
  return origins.every((origin) => parseUrl(origin)?.origin === origin) ? origins : undefined;
}

function toList(text: string): readonly string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}
