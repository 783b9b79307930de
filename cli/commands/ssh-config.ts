import type { TargetView } from '../api-client.ts';
import { openClient } from '../context.ts';
import type { Context } from '../context.ts';
import { choosePort, findTarget, parseTargetName } from '../find-target.ts';
import type { FoundTarget } from '../find-target.ts';
import { formatProxyCommand, toGlobalArguments } from '../proxy-command.ts';
import type { Invocation } from '../proxy-command.ts';
import type { WishOptions } from '../wish.ts';
import { isHostName, toConnectWords } from './ssh.ts';

export type SshConfigOptions = Pick<WishOptions, 'duration' | 'reason' | 'change'>;

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
    return formatHost(target, formatProxyCommand(proxy, process.platform));
  });
  if (settings.json) return terminal.printJson(found.map((target) => target.view ?? target));
  blocks.flat().forEach(terminal.print);
}

/** Returns the lines of one `Host` block. */
export function formatHost(
  { reference, view }: FoundTarget,
  proxyCommand: string,
): readonly string[] {
  const hosts = [reference, ...(view === undefined || !isHostName(view.name) ? [] : [view.name])];
  const port = choosePort('ssh', view);
  return [
    `Host ${hosts.toReversed().join(' ')}`,
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
