import type { Challenge } from '../claims-challenge.ts';
import { CommandError } from '../command-error.ts';
import type { Context } from '../context.ts';
import { exitCodes } from '../exit-code.ts';
import type { Profile } from '../token-store.ts';

// A token must outlive the request that carries it, and the skew of two clocks.
const earlyMilliseconds = 60_000;

/** Returns the token of the profile, renewed by itself where it has expired. One process at a time renews it. */
export async function getStoredToken(context: Context): Promise<string> {
  const { now, settings, store } = context;
  const profile = await store.read(settings.profile);
  if (profile !== undefined && isFresh(profile, now())) return profile.accessToken;
  return store.lock(settings.profile, async () => {
    // Another process may have renewed it while this one waited; a refresh token is good once.
    const latest = await requireProfile(context);
    if (isFresh(latest, now())) return latest.accessToken;
    const renewed = await renew(context, latest);
    await store.write(settings.profile, renewed);
    return renewed.accessToken;
  });
}

/**
 * Returns a token of the profile that was issued for the claims of a challenge. One process at a time asks the person
 * for it, and those that waited take what it got; who has waited for a minute asks as well.
 */
export async function getStrongerToken(
  context: Context,
  broker: URL,
  challenge: Challenge,
): Promise<string> {
  const { settings, store } = context;
  // A lock of its own: a person takes longer than others should wait for a renewal.
  return store.lock(`${settings.profile}.step-up`, async () => {
    const profile = await requireProfile(context);
    if (profile.accessToken !== challenge.token) return profile.accessToken;
    const { stepUp } = await import('./step-up.ts');
    const stronger = await stepUp(context, broker, profile, challenge);
    await store.lock(settings.profile, async () => store.write(settings.profile, stronger));
    return stronger.accessToken;
  });
}

async function requireProfile({ settings, store }: Context): Promise<Profile> {
  const profile = await store.read(settings.profile);
  if (profile !== undefined) return profile;
  throw new CommandError(exitCodes.signIn, 'The profile has been logged out. Sign in again.');
}

function isFresh(profile: Profile, now: Date): boolean {
  return now.getTime() + earlyMilliseconds < new Date(profile.expiresAt).getTime();
}

async function renew(context: Context, profile: Profile): Promise<Profile> {
  if (profile.kind === 'device') {
    const { renewDevice } = await import('./device-code.ts');
    return renewDevice(context, profile);
  }
  if (profile.kind === 'client-credentials') {
    const { renewClient } = await import('./client-credentials.ts');
    return renewClient(context, profile);
  }
  const { renewAzureCli } = await import('./azure-cli.ts');
  return renewAzureCli(profile);
}
