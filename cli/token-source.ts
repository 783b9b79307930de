import { readFile } from 'node:fs/promises';
import { CommandError } from './command-error.ts';
import type { Context } from './context.ts';
import { exitCodes } from './exit-code.ts';
import type { Profile } from './token-store.ts';

/** Returns a token for the broker that is good now; asks for a new one when the last has expired. */
export type TokenSource = () => Promise<string>;

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
  if (token !== undefined) return async () => Promise.resolve(token);
  if (tokenFile !== undefined) return async () => readTokenFile(tokenFile);
  if (profile !== undefined) return toProfileSource(context, broker, profile);
  if (githubActions === undefined) return async () => Promise.reject(toSignInError());
  let source: TokenSource | undefined;
  return async () => {
    const { createGithubSource } = await import('./tokens/github-actions.ts');
    source ??= createGithubSource(context, broker, githubActions);
    return source();
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
  return async () => {
    const { getStoredToken } = await import('./tokens/stored.ts');
    return getStoredToken(context);
  };
}

function toSignInError(): CommandError {
  return new CommandError(
    exitCodes.signIn,
    'Sign in first with sallyport login, or give a workload token in SALLYPORT_TOKEN_FILE.',
  );
}
