import { createClient } from '../api-client.ts';
import type { Challenge } from '../claims-challenge.ts';
import { CommandError } from '../command-error.ts';
import type { Context } from '../context.ts';
import { exitCodes } from '../exit-code.ts';
import type { Profile } from '../token-store.ts';
import { type DeviceProfile, signInByDevice } from './device-code.ts';

/**
 * Signs the person of a profile in again, with the claims that the broker asks for. Fails with `signIn` for a workload,
 * for a login of `az`, and when it was another person.
 */
export async function stepUp(
  context: Context,
  broker: URL,
  profile: Profile,
  challenge: Challenge,
): Promise<Profile> {
  if (profile.kind === 'azure-cli') throw toAzureAdvice(profile, challenge);
  if (profile.kind === 'client-credentials')
    throw new CommandError(
      exitCodes.signIn,
      'Policy asks for a stronger sign-in, which a client with a secret cannot give. Ask for a policy that permits it without one.',
    );
  const { issuer, clientId, scope } = profile;
  if (issuer === undefined)
    throw new CommandError(
      exitCodes.signIn,
      'Policy asks for a stronger sign-in. Run sallyport login again first.',
    );
  context.terminal.note(`${broker.host} asks for a stronger sign-in.`);
  const { settings } = context;
  // Standard output may belong to what is carried.
  const quiet: Context = { ...context, settings: { ...settings, json: false } };
  // The issuer of the login and not one that the broker names now: only the claims are the broker's own.
  const login = { issuer, clientId, scope };
  const stronger = await signInByDevice(quiet, broker, login, challenge.claims);
  await requireSamePerson(context, broker, { old: profile, new: stronger });
  return stronger;
}

async function requireSamePerson(
  { http }: Context,
  broker: URL,
  profiles: { readonly old: DeviceProfile; readonly new: DeviceProfile },
): Promise<void> {
  const [before, after] = await Promise.all(
    [profiles.old, profiles.new].map(async ({ accessToken }) =>
      createClient(http, broker, async () => Promise.resolve(accessToken)).whoami(),
    ),
  );
  if (before?.id === after?.id) return;
  throw new CommandError(
    exitCodes.signIn,
    `You are signed in as ${before?.name ?? ''}, and the stronger sign-in was of ${after?.name ?? ''}. Sign in as yourself, or as the other with sallyport login.`,
  );
}

function toAzureAdvice(
  { resource, scope }: Extract<Profile, { kind: 'azure-cli' }>,
  { encoded }: Challenge,
): CommandError {
  const wanted = scope === '' ? `${resource ?? ''}/.default` : scope;
  return new CommandError(
    exitCodes.signIn,
    'Policy asks for a stronger sign-in. Sign in to az with it, then try again:',
    { notes: [`az login --claims-challenge ${encoded} --scope ${wanted}`] },
  );
}
