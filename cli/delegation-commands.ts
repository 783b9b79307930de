import { type Command, Option } from 'commander';
import type { DelegationsOptions } from './commands/delegations.ts';
import type { Context } from './context.ts';
import type { DelegateOptions } from './delegation-wish.ts';

/** Adds the commands by which a person lets a workload act for them. Each loads its own code. */
export function addDelegations(
  program: Command,
  createContext: (command: Command) => Promise<Context>,
): void {
  program
    .command('delegate <workload>')
    .description('let a workload ask for sessions in your name; prints the id that it names')
    .requiredOption('--target <target...>', 'what it may reach')
    .requiredOption('--service <service...>', 'how: ssh, rdp, ssh:2222 or tcp:5432')
    .requiredOption('--until <time>', 'how long, such as 8h or 2d, or a time; seven days at most')
    .requiredOption('--purpose <text>', 'what for, for the audit and for approvers')
    .option('--max-duration <time>', 'how long each session may last')
    .option('--max-connections <count>', 'how many connections each may have at once')
    .option('--max-bytes <amount>', 'how much each may carry, such as 500MiB')
    .option('--max-sessions <count>', 'how many sessions there may be in all')
    .action(async (workload: string, options: DelegateOptions, command: Command) => {
      const { giveDelegation } = await import('./commands/delegate.ts');
      await giveDelegation(await createContext(command), workload, options);
    });
  program
    .command('delegations')
    .description('list the delegations that you have given, or received as a workload')
    .option('--given', 'those given')
    .addOption(new Option('--received', 'those received').conflicts('given'))
    .addOption(new Option('--all', 'all (needs a role)').conflicts(['given', 'received']))
    .action(async (options: DelegationsOptions, command: Command) => {
      const { printDelegations } = await import('./commands/delegations.ts');
      await printDelegations(await createContext(command), options);
    });
  program
    .command('undelegate <delegation>')
    .description('revoke a delegation, and end what is open under it')
    .action(async (delegation: string, _: unknown, command: Command) => {
      const { revokeDelegation } = await import('./commands/undelegate.ts');
      await revokeDelegation(await createContext(command), delegation);
    });
}
