import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { parsePort } from '../argument.ts';
import { CommandError } from '../command-error.ts';
import { openClient } from '../context.ts';
import type { Context } from '../context.ts';
import { exitCodes } from '../exit-code.ts';
import { choosePort, findTarget, parseTargetName } from '../find-target.ts';
import type { FoundTarget } from '../find-target.ts';
import { formatProxyCommand, toGlobalArguments } from '../proxy-command.ts';
import type { Invocation } from '../proxy-command.ts';
import { openWithoutWaiting } from '../use-session.ts';
import type { SessionOptions } from '../use-session.ts';
import { parseWish } from '../wish.ts';

/** What `sallyport ssh` was asked for. */
export type SshCall = {
  readonly destination: string;
  readonly sshArguments: readonly string[];
  readonly options: Omit<SessionOptions, 'protocol'>;
};

/** Runs OpenSSH through the gateway and returns its exit code. The target's host key is kept under the target's id. */
export async function runSsh(
  context: Context,
  call: SshCall,
  invocation: Invocation,
): Promise<number> {
  const { user, target } = parseDestination(call.destination);
  parseWish(call.options);
  const { broker, client } = await openClient(context);
  const found = await findTarget(client, parseTargetName(target));
  const { port } = call.options;
  const options = await settleSession(context, { ...call, target: found.reference });
  const words = [
    invocation.program,
    invocation.script,
    ...toConnectWords(found.reference, options),
    ...(options.session === undefined ? ['--port', choosePortText(found, port)] : []),
    ...toGlobalArguments(context.settings, broker),
  ];
  const proxyCommand = formatProxyCommand(words, process.platform);
  return runOpenSsh(toSshArguments({ found, user, proxyCommand, rest: call.sshArguments }));
}

// Only here can the exit code be ours: it is that of OpenSSH once that runs.
async function settleSession(
  context: Context,
  { destination, options, target }: SshCall & { readonly target: string },
): Promise<SessionOptions> {
  if (options.wait !== false) return options;
  const use = { target, options, words: `ssh ${destination}` };
  const session = await openWithoutWaiting(context, use);
  return { session, end: options.session === undefined };
}

function choosePortText({ view }: FoundTarget, port: string | undefined): string {
  return String(port === undefined ? choosePort('ssh', view) : parsePort(port));
}

/** Splits `user@target`; a user may hold an `@`, a target may not. */
export function parseDestination(text: string): {
  readonly user?: string;
  readonly target: string;
} {
  const at = text.lastIndexOf('@');
  const target = text.slice(at + 1);
  if (target === '' || at === 0)
    throw new CommandError(
      exitCodes.usage,
      `Name the target as target or user@target, not '${text}'.`,
    );
  return at === -1 ? { target } : { user: text.slice(0, at), target };
}

/** Returns the words of `connect` for a target and what the user asked for. */
export function toConnectWords(reference: string, options: SessionOptions): readonly string[] {
  const { change, delegation, duration, end, reason, session, start, terms, wait } = options;
  return [
    'connect',
    reference,
    ...(session === undefined ? [] : ['--session', session]),
    ...(end === true ? ['--end'] : []),
    ...(wait === false ? ['--no-wait'] : []),
    ...(start === true ? ['--start'] : []),
    ...(terms === undefined ? [] : [`--terms=${terms}`]),
    ...(delegation === undefined ? [] : [`--delegation=${delegation}`]),
    ...(duration === undefined ? [] : ['--duration', duration]),
    // In one word, so that a text which begins with a dash stays a text.
    ...(reason === undefined ? [] : [`--reason=${reason}`]),
    ...(change === undefined ? [] : [`--change=${change}`]),
  ];
}

type SshParts = {
  readonly found: FoundTarget;
  readonly user: string | undefined;
  readonly proxyCommand: string;
  readonly rest: readonly string[];
};

/** Returns the arguments of OpenSSH. Its own options may follow the host. */
export function toSshArguments({ found, user, proxyCommand, rest }: SshParts): readonly string[] {
  const { reference, view } = found;
  return [
    '-o',
    `ProxyCommand=${proxyCommand}`,
    '-o',
    `HostKeyAlias=${reference}`,
    // A limit of the user's own for all hosts would cut the wait for an approval short.
    ...(rest.some((word) => /ConnectTimeout/i.test(word)) ? [] : ['-o', 'ConnectTimeout=0']),
    ...(user === undefined ? [] : ['-l', user]),
    view !== undefined && isHostName(view.name) ? view.name : reference,
    ...rest,
  ];
}

/** Whether a name can stand where OpenSSH expects a host: not an option, a pattern or several words. */
export function isHostName(name: string): boolean {
  return /^[a-z\d][\w.-]*$/i.test(name);
}

async function runOpenSsh(args: readonly string[]): Promise<number> {
  const child = spawn('ssh', args, { stdio: 'inherit' });
  // Ctrl-C is for what runs in the terminal; we end when ssh does.
  const ignore = (): void => undefined;
  // Whoever ends us knows nothing of ssh.
  const passOn = (signal: NodeJS.Signals): void => {
    child.kill(signal);
  };
  process.on('SIGINT', ignore).on('SIGTERM', passOn).on('SIGHUP', passOn);
  try {
    return await new Promise((resolve, reject) => {
      child.once('error', (cause) => reject(toSpawnError(cause)));
      child.once('exit', (code, signal) => {
        resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
      });
    });
  } finally {
    process.off('SIGINT', ignore).off('SIGTERM', passOn).off('SIGHUP', passOn);
  }
}

/** Returns the failure that a program which did not start is for the user. */
export function toSpawnError(cause: NodeJS.ErrnoException): CommandError {
  const sentence =
    cause.code === 'ENOENT'
      ? 'Install OpenSSH: there is no ssh on the PATH.'
      : `ssh could not be started (${cause.code ?? cause.message}).`;
  return new CommandError(exitCodes.unexpected, sentence, { cause });
}
