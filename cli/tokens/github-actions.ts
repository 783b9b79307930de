import * as z from 'zod';
import { parseAnswer } from '../api-answer.ts';
import { discover } from '../api-client.ts';
import { CommandError } from '../command-error.ts';
import type { Context } from '../context.ts';
import { exitCodes } from '../exit-code.ts';
import { parseJson } from '../json.ts';
import type { Settings } from '../settings.ts';
import { parseOwnAudience } from './trusted-login.ts';

const githubIssuer = 'https://token.actions.githubusercontent.com';
const answerShape = z.object({ value: z.string().min(1) });
const expiryShape = z.object({ exp: z.number() });
const earlyMilliseconds = 60_000;

/** Returns the tokens that GitHub gives a job with `permissions: id-token: write`, for the audience of the broker. */
export function createGithubSource(
  context: Context,
  broker: URL,
  githubActions: NonNullable<Settings['githubActions']>,
): () => Promise<string> {
  let last: { readonly token: string; readonly expiresAt: number } | undefined;
  return async () => {
    if (last !== undefined && context.now().getTime() + earlyMilliseconds < last.expiresAt)
      return last.token;
    const url = new URL(githubActions.url);
    url.searchParams.set('audience', await findAudience(context, broker));
    const headers = { accept: 'application/json', authorization: `Bearer ${githubActions.token}` };
    const reply = await context.http({ method: 'GET', url: url.href, headers });
    const { value: token } = parseAnswer(reply, answerShape, 'the token request to GitHub');
    last = { token, expiresAt: readExpiry(token) };
    return token;
  };
}

async function findAudience({ http, settings }: Context, broker: URL): Promise<string> {
  if (settings.audience !== undefined) return settings.audience;
  const { issuers } = await discover(http, broker);
  const audience = issuers.find(({ issuer }) => issuer === githubIssuer)?.audience[0];
  if (audience !== undefined) return parseOwnAudience(audience);
  throw new CommandError(
    exitCodes.signIn,
    'The broker does not trust the tokens of GitHub Actions. Give --audience where it has another name for them.',
  );
}

// Only to know when to ask again: whether the token is good is for the broker to say.
function readExpiry(token: string): number {
  const payload = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8');
  const parsed = expiryShape.safeParse(parseJson(payload));
  return parsed.success ? parsed.data.exp * 1000 : 0;
}
