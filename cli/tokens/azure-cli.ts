import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import * as z from 'zod';
import type { Discovery } from '../api-client.ts';
import { CommandError } from '../command-error.ts';
import type { Context } from '../context.ts';
import { exitCodes } from '../exit-code.ts';
import { parseJson } from '../json.ts';
import type { Profile } from '../token-store.ts';
import { toResourceScope } from './oauth.ts';
import { parseOwnAudience, parseOwnScope } from './trusted-login.ts';

type AzureProfile = Extract<Profile, { kind: 'azure-cli' }>;

const answerShape = z.object({
  accessToken: z.string().min(1),
  /** Seconds since the epoch; the older `expiresOn` is local time without a zone. */
  expires_on: z.number().optional(),
  expiresOn: z.string().optional(),
});

/** Signs in with whoever `az` is signed in as. Later tokens come from `az`, too. */
export async function signInByAzureCli(
  context: Context,
  broker: URL,
  discovery: Discovery,
): Promise<Profile> {
  return renewAzureCli({
    version: 1,
    kind: 'azure-cli',
    broker: broker.href,
    accessToken: '',
    expiresAt: new Date(0).toISOString(),
    ...chooseResource(context.settings.audience, discovery),
  });
}

// `az` signs for whatever its user may do in Azure.
function chooseResource(
  audience: string | undefined,
  { issuers, login }: Discovery,
): Pick<AzureProfile, 'scope' | 'resource'> {
  if (audience !== undefined) return { scope: '', resource: audience };
  const scope = toResourceScope(login?.scope ?? '');
  if (scope !== '') return { scope: parseOwnScope(scope) };
  return { scope, resource: parseOwnAudience(issuers[0]?.audience[0] ?? '') };
}

/** Returns the sign-in with a token that `az` gave just now. */
export async function renewAzureCli(profile: AzureProfile): Promise<Profile> {
  const { accessToken, expiresAt } = await runAzureCli(toArguments(profile));
  return { ...profile, accessToken, expiresAt };
}

function toArguments({ scope, resource }: AzureProfile): readonly string[] {
  const wanted = scope === '' ? ['--resource', resource ?? ''] : ['--scope', ...scope.split(' ')];
  // They came from the network, and a shell reads them on Windows.
  if (!wanted.every((text) => /^(?:--resource|--scope|[\w:/.][\w:/.-]*)$/.test(text)))
    throw new CommandError(exitCodes.signIn, 'The broker names no scope that az can ask for.');
  return ['account', 'get-access-token', ...wanted, '--output', 'json'];
}

type AzureToken = Pick<AzureProfile, 'accessToken' | 'expiresAt'>;

async function runAzureCli(args: readonly string[]): Promise<AzureToken> {
  const isWindows = process.platform === 'win32';
  const run = promisify(execFile);
  const answer = await run(isWindows ? 'az.cmd' : 'az', args, { shell: isWindows }).catch(
    (failure: unknown) => {
      throw toAzureError(failure);
    },
  );
  return parseAzureToken(answer.stdout);
}

/** Returns the token in what `az account get-access-token` prints, or fails with `signIn`. */
export function parseAzureToken(text: string): AzureToken {
  const parsed = answerShape.safeParse(parseJson(text));
  if (!parsed.success)
    throw new CommandError(exitCodes.signIn, 'az account get-access-token printed no token.');
  const { accessToken, expires_on: seconds, expiresOn } = parsed.data;
  const expiry =
    seconds === undefined
      ? new Date((expiresOn ?? '').replace(' ', 'T'))
      : new Date(seconds * 1000);
  // Without an expiry the token is asked for again at each use.
  const isKnown = !Number.isNaN(expiry.getTime());
  return { accessToken, expiresAt: (isKnown ? expiry : new Date(0)).toISOString() };
}

function toAzureError(failure: unknown): CommandError {
  if (failure instanceof Error && 'code' in failure && failure.code === 'ENOENT')
    return new CommandError(exitCodes.signIn, 'Install the Azure CLI: there is no az on the PATH.');
  const stderr = failure instanceof Error && 'stderr' in failure ? String(failure.stderr) : '';
  const line =
    stderr.split('\n').find((text) => text.startsWith('ERROR:')) ?? 'Run az login first.';
  return new CommandError(exitCodes.signIn, `az account get-access-token failed. ${line}`);
}
