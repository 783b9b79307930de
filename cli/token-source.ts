import { readFile } from 'node:fs/promises';
import type { GetToken } from './claims-challenge.ts';
import { CommandError } from './command-error.ts';
import type { Context } from './context.ts';
import { exitCodes } from './exit-code.ts';
import type { Profile } from './token-store.ts';

/** Returns a token for the broker that is good now; asks for a new one when the last has expired. */
export type TokenSource = GetToken;

/**
 * Chooses where tokens come from: those that the environment names explicitly, then the login, then what GitHub Actions
 * offers to every job. A login's token goes to the broker that it was made for and to no other.
 */
export function chooseTokenSource(
  context: Context,
  broker: URL,
  profile: Profile | undefined,
): TokenSource {
  const { githubActions, token, tokenFile } = context.settings;
  if (token !== undefined) return withoutStepUp(async () => Promise.resolve(token));
  if (tokenFile !== undefined) return withoutStepUp(async () => readTokenFile(tokenFile));
  if (profile !== undefined) return toProfileSource(context, broker, profile);
  if (githubActions === undefined) return async () => Promise.reject(toSignInError());
  let source: (() => Promise<string>) | undefined;
  return withoutStepUp(async () => {
    const { createGithubSource } = await import('./tokens/github-actions.ts');
    source ??= createGithubSource(context, broker, githubActions);
    return source();
  });
}

function withoutStepUp(source: () => Promise<string>): TokenSource {
  return async (challenge) => {
    if (challenge === undefined) return source();
    throw new CommandError(
      exitCodes.signIn,
      'Policy asks for a stronger sign-in, which only a person can give: sign in with sallyport login. A workload needs a policy that permits it without one.',
    );
  };
}

// Read at each call: the kubelet replaces a projected token long before it expires.
async function readTokenFile(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new CommandError(exitCodes.signIn, `The token file ${path} cannot be read.`, { cause });
  });
  const token = text.trim();
  if (token !== '') return token;
  throw new CommandError(exitCodes.signIn, `The token file ${path} is empty.`);
}

function toProfileSource(context: Context, broker: URL, profile: Profile): TokenSource {
  if (new URL(profile.broker).href !== broker.href)
    throw new CommandError(
      exitCodes.signIn,
      `The profile '${context.settings.profile}' is signed in to ${profile.broker}, not to ${broker.href}. Sign in there with another --profile, or log out first.`,
    );
  let stronger: Promise<string> | undefined;
  return async (challenge) => {
    const { getStoredToken, getStrongerToken } = await import('./tokens/stored.ts');
    if (challenge === undefined) return getStoredToken(context);
    // One sign-in for all the connections of a tunnel that need it at the same time.
    stronger ??= getStrongerToken(context, broker, challenge).finally(() => {
      stronger = undefined;
    });
    return stronger;
  };
}

function toSignInError(): CommandError {
  return new CommandError(
    exitCodes.signIn,
    'Sign in first with sallyport login, or give a workload token in SALLYPORT_TOKEN_FILE.',
  );
}
