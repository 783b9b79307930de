import { createClient, discover } from '../api-client.ts';
import type { Discovery } from '../api-client.ts';
import { CommandError } from '../command-error.ts';
import { findBroker } from '../context.ts';
import type { Context } from '../context.ts';
import { exitCodes } from '../exit-code.ts';
import type { Profile } from '../token-store.ts';

export type LoginOptions = { readonly azureCli?: boolean; readonly clientCredentials?: boolean };

/** Signs in and keeps what the later commands need, once the broker has accepted the token. */
export async function logIn(context: Context, options: LoginOptions): Promise<void> {
  const { http, settings, store, terminal } = context;
  const broker = await findLoginBroker(context);
  const profile = await signIn(context, broker, options);
  const who = await createClient(http, broker, async () =>
    Promise.resolve(profile.accessToken),
  ).whoami();
  await store.write(settings.profile, profile);
  if (settings.json) {
    const event = { event: 'signedIn', broker: broker.href, profile: settings.profile };
    return terminal.printJson({ ...event, caller: { id: who.id, name: who.name, kind: who.kind } });
  }
  terminal.print(`Signed in to ${broker.href} as ${who.name} (profile ${settings.profile}).`);
}

async function findLoginBroker({ settings, store }: Context): Promise<URL> {
  if (settings.broker !== undefined) return settings.broker;
  return findBroker(settings, await store.read(settings.profile));
}

async function signIn(context: Context, broker: URL, options: LoginOptions): Promise<Profile> {
  const discovery = await discover(context.http, broker);
  if (options.azureCli === true) {
    const { signInByAzureCli } = await import('../tokens/azure-cli.ts');
    return signInByAzureCli(context, broker, discovery);
  }
  const login = requireLogin(discovery);
  if (options.clientCredentials === true) {
    const { signInAsClient } = await import('../tokens/client-credentials.ts');
    return signInAsClient(context, broker, login);
  }
  const { signInByDevice } = await import('../tokens/device-code.ts');
  return signInByDevice(context, broker, login);
}

function requireLogin({ login }: Discovery): NonNullable<Discovery['login']> {
  if (login !== undefined) return login;
  throw new CommandError(
    exitCodes.signIn,
    'The broker names no place to sign in. Use --azure-cli, or a workload token from the environment.',
  );
}
