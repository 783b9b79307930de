import type { Context } from '../context.ts';

/** Forgets the sign-in of the profile. */
export async function logOut({ settings, store, terminal }: Context): Promise<void> {
  const wasSignedIn = await store.remove(settings.profile);
  if (settings.json) return terminal.printJson({ event: 'signedOut', wasSignedIn });
  const sentence = wasSignedIn ? 'is signed out' : 'was not signed in';
  terminal.print(`The profile ${settings.profile} ${sentence}.`);
}
