import { createClient } from './api-client.ts';
import type { Client } from './api-client.ts';
import { CommandError } from './command-error.ts';
import { exitCodes } from './exit-code.ts';
import { createHttp, stopHttp } from './http.ts';
import type { Http } from './http.ts';
import type { Settings } from './settings.ts';
import type { Terminal } from './terminal.ts';
import { createTokenStore } from './token-store.ts';
import type { Profile, TokenStore } from './token-store.ts';
import { chooseTokenSource } from './token-source.ts';
import { readTrust } from './trust.ts';
import type { Trust } from './trust.ts';

/** All that a command needs. Every command takes it as its first parameter. */
export type Context = {
  readonly settings: Settings;
  readonly terminal: Terminal;
  readonly http: Http;
  /** Reads the authorities at the first call. */
  readonly findTrust: () => Trust;
  readonly store: TokenStore;
  readonly now: () => Date;
  /** Resolves after so many milliseconds, or rejects when the signal aborts. */
  readonly wait: (milliseconds: number, signal?: AbortSignal) => Promise<void>;
  /** Asks the user and returns the answer, empty when there is none; absent without a terminal. */
  readonly ask?: (question: string) => Promise<string>;
};

/** What a context has of the machine and of the one who sits at it. */
type Surroundings = Pick<Context, 'now' | 'wait' | 'ask'>;

/** Returns the context of a run of the command with these settings. */
export function createContext(
  settings: Settings,
  terminal: Terminal,
  surroundings: Surroundings,
): Context {
  let trust: Trust | undefined;
  const findTrust = (): Trust => (trust ??= readTrust(settings.caFile));
  const store = createTokenStore(settings.folder);
  return { settings, terminal, http: createHttp(findTrust), findTrust, store, ...surroundings };
}

/** Returns the context with requests and waits that are given up when the signal aborts. */
export function stopContext(context: Context, signal: AbortSignal): Context {
  const wait: Context['wait'] = async (milliseconds) => {
    await context.wait(milliseconds, signal).catch((cause: unknown) => {
      throw new CommandError(exitCodes.conflict, 'Interrupted.', { cause });
    });
  };
  return { ...context, http: stopHttp(context.http, signal), wait };
}

/** A client with the caller's token, and the broker that it calls. */
export type OpenedClient = { readonly client: Client; readonly broker: URL };

/** Returns a client of the broker that the settings or the login name. Fails with `signIn` where there is no token. */
export async function openClient(context: Context): Promise<OpenedClient> {
  const profile = await context.store.read(context.settings.profile);
  const broker = findBroker(context.settings, profile);
  const getToken = chooseTokenSource(context, broker, profile);
  return { broker, client: createClient(context.http, broker, getToken) };
}

/** Returns the broker that was given, or else the one of the login. Fails with a usage error when neither is there. */
export function findBroker(settings: Settings, profile: Profile | undefined): URL {
  if (settings.broker !== undefined) return settings.broker;
  if (profile !== undefined) return new URL(profile.broker);
  throw new CommandError(
    exitCodes.usage,
    'Name the broker: --broker URL, SALLYPORT_BROKER, or sallyport login --broker URL once.',
  );
}
