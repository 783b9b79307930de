import { type Command, Option } from 'commander';
import type { ExtendOptions } from './commands/extend.ts';
import type { Context } from './context.ts';
import type { DecideOptions } from './decide-request.ts';

/** What the commands about approvals need of a run. */
export type ApprovalSurroundings = {
  readonly openContext: (command: Command) => Promise<Context>;
  readonly watchSignals: () => AbortSignal;
};

/** Adds the commands with which people decide about requests, and ask for more time. */
export function addApprovals(program: Command, surroundings: ApprovalSurroundings): void {
  const { openContext, watchSignals } = surroundings;
  program
    .command('requests')
    .description('list the requests of others that wait for your decision')
    .action(async (_: unknown, command: Command) => {
      const { printRequests } = await import('./commands/requests.ts');
      await printRequests(await openContext(command));
    });
  withDecision(program.command('approve <request>'))
    .description('approve a request of somebody else; the first letters of its id are enough')
    .option('--duration <time>', 'for no longer than this, such as 30m')
    .action(async (request: string, options: DecideOptions, command: Command) => {
      const { approveRequest } = await import('./commands/approve.ts');
      await approveRequest(await openContext(command), request, options);
    });
  withDecision(program.command('deny <request>'))
    .description('deny a request of somebody else')
    .action(async (request: string, options: DecideOptions, command: Command) => {
      const { denyRequest } = await import('./commands/deny.ts');
      await denyRequest(await openContext(command), request, options);
    });
  program
    .command('extend <session>')
    .description('ask for a later deadline of an open session; its connections stay up')
    .requiredOption('--duration <time>', 'how long it may last from now, such as 30m')
    .addOption(createNoWait())
    .action(async (session: string, options: ExtendOptions, command: Command) => {
      const { extendSession } = await import('./commands/extend.ts');
      await extendSession(await openContext(command), session, options, watchSignals());
    });
}

/** Returns the option of every command that may have to wait. */
export function createNoWait(): Option {
  return new Option('--no-wait', 'exit with 9 where it takes an approval or a start');
}

function withDecision(command: Command): Command {
  return command
    .option('--note <text>', 'what the one who asked is told')
    .option('--yes', 'do not ask whether it is meant');
}
