import type { TargetView } from '../api-client.ts';
import { openClient } from '../context.ts';
import type { Context } from '../context.ts';
import { choosePort, findTarget, parseTargetName } from '../find-target.ts';
import type { FoundTarget } from '../find-target.ts';
import { formatProxyCommand, toGlobalArguments } from '../proxy-command.ts';
import type { Invocation } from '../proxy-command.ts';
import type { SessionOptions } from '../use-session.ts';
import { isHostName, toConnectWords } from './ssh.ts';

export type SshConfigOptions = Omit<SessionOptions, 'port' | 'protocol'>;

/** Prints a block of `ssh_config` for each target, or for every one with SSH, with which any OpenSSH tool reaches it. */
export async function printSshConfig(
  context: Context,
  names: readonly string[],
  options: SshConfigOptions,
  invocation: Invocation,
): Promise<void> {
  const { settings, terminal } = context;
  const { broker, client } = await openClient(context);
  const found =
    names.length === 0
      ? (await client.listTargets()).filter(offersSsh).map(toFound)
      : await Promise.all(names.map(async (name) => findTarget(client, parseTargetName(name))));
  const words = toGlobalArguments(settings, broker);
  const blocks = found.map((target) => {
    const connect = toConnectWords(target.reference, options);
    const proxy = [invocation.program, invocation.script, ...connect, '--port', '%p', ...words];
    const proxyCommand = formatProxyCommand(proxy, process.platform);
    return formatHost(target, findAlias(target, found), proxyCommand);
  });
  if (settings.json) return terminal.printJson(found.map((target) => target.view ?? target));
  blocks.flat().forEach(terminal.print);
}

/**
 * Returns a host's name for a target that takes no other host's place, whoever names the target; undefined where its
 * name has a dot or is that of several.
 */
export function findAlias({ view }: FoundTarget, all: readonly FoundTarget[]): string | undefined {
  if (view === undefined || !isHostName(view.name) || view.name.includes('.')) return undefined;
  const same = all.filter((other) => other.view?.name.toLowerCase() === view.name.toLowerCase());
  const isSole = new Set(same.map(({ reference }) => reference)).size === 1;
  return isSole ? `${view.name}.sallyport` : undefined;
}

/** Returns the lines of one `Host` block. */
export function formatHost(
  { reference, view }: FoundTarget,
  alias: string | undefined,
  proxyCommand: string,
): readonly string[] {
  const port = choosePort('ssh', view);
  return [
    alias === undefined ? `Host ${reference}` : `Host ${alias} ${reference}`,
    `  HostKeyAlias ${reference}`,
    ...(port === 22 ? [] : [`  Port ${port}`]),
    `  ProxyCommand ${proxyCommand}`,
    '',
  ];
}

function offersSsh({ services }: TargetView): boolean {
  return services.some(({ protocol }) => protocol === 'ssh');
}

function toFound(view: TargetView): FoundTarget {
  return { reference: view.id, view };
}
