import { join, resolve } from 'node:path';
import { CommandError } from './command-error.ts';
import { exitCodes } from './exit-code.ts';
import { parseSafeUrl } from './safe-url.ts';

/** The global options of the command, as they were typed. */
export type GlobalOptions = {
  readonly broker?: string;
  readonly ca?: string;
  readonly json?: boolean;
  readonly profile?: string;
  readonly audience?: string;
  readonly issuer?: string;
};

/** What the command line and the environment say, the first before the second. */
export type Settings = {
  /** The base URL of the broker, with a slash at its end; absent when only a login names it. */
  readonly broker?: URL;
  readonly caFile?: string;
  readonly json: boolean;
  readonly profile: string;
  /** Where the profiles are. */
  readonly folder: string;
  readonly audience?: string;
  /** Where a client secret may be sent, in place of what the broker says. */
  readonly issuer?: string;
  /** A workload's token, ready or to be fetched. */
  readonly token?: string;
  readonly tokenFile?: string;
  readonly githubActions?: { readonly url: string; readonly token: string };
  /** The credentials of `login --client-credentials`. The secret is never stored. */
  readonly client?: { readonly id: string; readonly secret: string };
};

/** The machine that the command runs on. */
export type Machine = { readonly platform: NodeJS.Platform; readonly home: string };

type Environment = Readonly<Record<string, string | undefined>>;

/** Returns the settings, or fails with a usage error. This is the only reader of the environment. */
export function parseSettings(
  env: Environment,
  options: GlobalOptions,
  machine: Machine,
): Settings {
  const read = (name: string): string | undefined => env[name] || undefined;
  return {
    json: options.json ?? false,
    profile: parseProfileName(options.profile ?? read('SALLYPORT_PROFILE') ?? 'default'),
    folder: read('SALLYPORT_CONFIG_DIR') ?? findFolder(env, machine),
    ...readBroker(read, options),
    ...readWorkload(read),
  };
}

/** Returns the base URL of a broker with a slash at its end, or fails with a usage error. */
function parseBroker(text: string): URL {
  const url = parseSafeUrl(text, 'https:');
  if (url === undefined || url.search !== '' || url.hash !== '')
    throw new CommandError(
      exitCodes.usage,
      `The broker is an https URL (http only on this machine), not '${text}'.`,
    );
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url;
}

function parseIssuer(text: string): string {
  if (parseSafeUrl(text, 'https:') !== undefined) return text;
  throw new CommandError(
    exitCodes.usage,
    `The issuer is an https URL (http only on this machine), not '${text}'.`,
  );
}

function parseProfileName(name: string): string {
  if (/^[a-z\d][\w.-]{0,63}$/i.test(name)) return name;
  throw new CommandError(
    exitCodes.usage,
    `A profile's name has letters, digits, dots and dashes, unlike '${name}'.`,
  );
}

function findFolder(env: Environment, { platform, home }: Machine): string {
  const base = env['XDG_CONFIG_HOME'];
  if (base) return join(base, 'sallyport');
  if (platform === 'win32')
    return join(env['APPDATA'] || join(home, 'AppData', 'Roaming'), 'sallyport');
  if (platform === 'darwin') return join(home, 'Library', 'Application Support', 'sallyport');
  return join(home, '.config', 'sallyport');
}

type Read = (name: string) => string | undefined;

function readBroker(
  read: Read,
  options: GlobalOptions,
): Pick<Settings, 'broker' | 'caFile' | 'audience' | 'issuer'> {
  const broker = options.broker ?? read('SALLYPORT_BROKER');
  const caFile = options.ca ?? read('SALLYPORT_CA');
  const audience = options.audience ?? read('SALLYPORT_AUDIENCE');
  const issuer = options.issuer ?? read('SALLYPORT_ISSUER');
  return {
    ...(broker === undefined ? {} : { broker: parseBroker(broker) }),
    ...(caFile === undefined ? {} : { caFile: resolve(caFile) }),
    ...(audience === undefined ? {} : { audience }),
    ...(issuer === undefined ? {} : { issuer: parseIssuer(issuer) }),
  };
}

type Workload = Pick<Settings, 'token' | 'tokenFile' | 'githubActions' | 'client'>;

function readWorkload(read: Read): Workload {
  // A token that was read from a file mostly ends with a line break, which no header may hold.
  const token = read('SALLYPORT_TOKEN')?.trim() || undefined;
  const tokenFile = read('SALLYPORT_TOKEN_FILE');
  const url = read('ACTIONS_ID_TOKEN_REQUEST_URL');
  const requestToken = read('ACTIONS_ID_TOKEN_REQUEST_TOKEN');
  const id = read('SALLYPORT_CLIENT_ID');
  const secret = read('SALLYPORT_CLIENT_SECRET');
  return {
    ...(token === undefined ? {} : { token }),
    ...(tokenFile === undefined ? {} : { tokenFile }),
    ...(url === undefined || requestToken === undefined
      ? {}
      : { githubActions: { url, token: requestToken } }),
    ...(id === undefined || secret === undefined ? {} : { client: { id, secret } }),
  };
}
