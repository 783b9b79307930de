import { Command, Option } from 'commander';
import { addApprovals, createNoWait } from './approval-commands.ts';
import type { LoginOptions } from './commands/login.ts';
import type { BundleOptions } from './commands/policy-bundle.ts';
import type { SimulateOptions } from './commands/policy-simulate.ts';
import type { SessionsOptions } from './commands/sessions.ts';
import type { TunnelOptions } from './commands/tunnel.ts';
import type { Context } from './context.ts';
import { addDelegations } from './delegation-commands.ts';
import type { Invocation } from './proxy-command.ts';
import type { GlobalOptions } from './settings.ts';
import type { SessionOptions } from './use-session.ts';
import type { WishOptions } from './wish.ts';

/** What surrounds a run of the command. */
export type Surroundings = {
  readonly version: string;
  readonly invocation: Invocation;
  /** Makes the context once the options are known. */
  readonly createContext: (options: GlobalOptions) => Promise<Context>;
  /** Returns a signal that aborts when the user or the system asks the program to end. */
  readonly watchSignals: () => AbortSignal;
  readonly setExitCode: (code: number) => void;
};

/** Returns the command line: each command loads its own code, so that `connect` starts fast. */
export function createProgram(surroundings: Surroundings): Command {
  const program = new Command('sallyport')
    .description('Reach virtual machines through the Sallyport broker.')
    .version(surroundings.version)
    .option('--broker <url>', 'the broker (SALLYPORT_BROKER, or the one of the login)')
    .option('--ca <file>', 'authorities to trust besides the usual ones, in PEM (SALLYPORT_CA)')
    .option('--profile <name>', 'which login to use (SALLYPORT_PROFILE)')
    .option('--audience <name>', 'the audience of a workload token (SALLYPORT_AUDIENCE)')
    .option('--json', 'print JSON for scripts')
    .showHelpAfterError('Run sallyport --help, or sallyport <command> --help.')
    .exitOverride();
  addSignIn(program, surroundings);
  addLists(program, surroundings);
  const openContext = async (command: Command): Promise<Context> =>
    createContext(command, surroundings);
  addApprovals(program, { openContext, watchSignals: surroundings.watchSignals });
  addDelegations(program, openContext);
  addPolicy(program, surroundings);
  addSsh(program, surroundings);
  addStreams(program, surroundings);
  return program;
}

async function createContext(command: Command, surroundings: Surroundings): Promise<Context> {
  return surroundings.createContext(command.optsWithGlobals<GlobalOptions>());
}

function addSignIn(program: Command, surroundings: Surroundings): void {
  program
    .command('login')
    .description('sign in, with a code to enter in a browser unless an option says otherwise')
    .addOption(
      new Option('--azure-cli', 'use whoever az is signed in as').conflicts('clientCredentials'),
    )
    .option('--client-credentials', 'use SALLYPORT_CLIENT_ID and SALLYPORT_CLIENT_SECRET')
    .option('--issuer <url>', 'where the client secret may be sent (SALLYPORT_ISSUER)')
    .action(async (options: LoginOptions, command: Command) => {
      const { logIn } = await import('./commands/login.ts');
      await logIn(await createContext(command, surroundings), options);
    });
  program
    .command('logout')
    .description('forget the login of the profile')
    .action(async (_: unknown, command: Command) => {
      const { logOut } = await import('./commands/logout.ts');
      await logOut(await createContext(command, surroundings));
    });
  program
    .command('whoami')
    .description('show what the broker believes about you')
    .action(async (_: unknown, command: Command) => {
      const { printCaller } = await import('./commands/whoami.ts');
      await printCaller(await createContext(command, surroundings));
    });
}

function addLists(program: Command, surroundings: Surroundings): void {
  program
    .command('targets')
    .description('list what you can reach now')
    .action(async (_: unknown, command: Command) => {
      const { printTargets } = await import('./commands/targets.ts');
      await printTargets(await createContext(command, surroundings));
    });
  program
    .command('sessions')
    .description('list your open sessions')
    .option('--status <state>', 'those in one state, such as pendingApproval, ready or ended')
    .option('--all', 'those in every state')
    .option('--target <id>', 'those to one target')
    .option('--caller <id>', 'those of another caller, or of all (needs a role)')
    .option('--on-behalf-of <id>', 'those in the name of a person: me, or another (needs a role)')
    .action(async (options: SessionsOptions, command: Command) => {
      const { printSessions } = await import('./commands/sessions.ts');
      await printSessions(await createContext(command, surroundings), options);
    });
  program
    .command('terminate <session>')
    .description('end a session now and for good')
    .action(async (session: string, _: unknown, command: Command) => {
      const { terminateSession } = await import('./commands/terminate.ts');
      await terminateSession(await createContext(command, surroundings), session);
    });
}

function addPolicy(program: Command, surroundings: Surroundings): void {
  const { setExitCode } = surroundings;
  withWish(
    program
      .command('explain <target>')
      .description('say what policy decides about a session, and what would change it')
      .option('--port <port>', 'the port of the target')
      .option('--protocol <name>', 'ssh, rdp or tcp', 'ssh'),
  ).action(async (target: string, options: WishOptions, command: Command) => {
    const { explainWish } = await import('./commands/explain.ts');
    await explainWish(await createContext(command, surroundings), target, options);
  });
  const policy = program
    .command('policy')
    .description('check, test and try policies before they are taken');
  policy
    .command('check <folder>')
    .description('say what is to be repaired in the .cedar files of a folder (needs Policy.Read)')
    .action(async (folder: string, _: unknown, command: Command) => {
      const { checkPolicies } = await import('./commands/policy-check.ts');
      setExitCode(await checkPolicies(await createContext(command, surroundings), folder));
    });
  policy
    .command('test')
    .argument('[folder]', 'the folder of the policies', 'policies')
    .description('run tests/*.json of a folder against its .cedar files, without a broker')
    .action(async (folder: string, _: unknown, command: Command) => {
      const { testPolicies } = await import('./commands/policy-test.ts');
      const { createProgress } = await import('./commands/policy-progress.ts');
      const context = await createContext(command, surroundings);
      setExitCode(await testPolicies(context, folder, createProgress(process.stderr)));
    });
  policy
    .command('simulate <folder>')
    .description(
      'say what the .cedar files of a folder would decide otherwise; exits with 6 if any (needs Policy.Read)',
    )
    .option('--from <time>', 'past decisions from this time on (seven days before the end)')
    .option('--to <time>', 'past decisions before this time (now)')
    .option('--cases <file>', 'cases of a JSON file instead')
    .action(async (folder: string, options: SimulateOptions, command: Command) => {
      const { simulatePolicies } = await import('./commands/policy-simulate.ts');
      const { createProgress } = await import('./commands/policy-progress.ts');
      const context = await createContext(command, surroundings);
      const show = createProgress(process.stderr);
      setExitCode(await simulatePolicies(context, folder, options, show));
    });
  addBundle(policy, surroundings);
}

function addBundle(policy: Command, surroundings: Surroundings): void {
  policy
    .command('bundle')
    .argument('[folder]', 'the folder of the policies', 'policies')
    .description('check a folder, and write what is to be uploaded to publish it, without a broker')
    .requiredOption('--out <folder>', 'where to write it')
    .option('--by <name>', 'who publishes it, for the audit')
    .option('--note <text>', 'why, for the audit')
    .action(async (folder: string, options: BundleOptions, command: Command) => {
      const { bundlePolicies } = await import('./commands/policy-bundle.ts');
      const context = await createContext(command, surroundings);
      surroundings.setExitCode(await bundlePolicies(context, folder, options));
    });
}

function addSsh(program: Command, surroundings: Surroundings): void {
  const { invocation, setExitCode } = surroundings;
  type SshAction = [string, string[], SessionOptions, Command];
  withSession(
    program
      .command('ssh <destination> [arguments...]')
      .description('run OpenSSH to target or user@target; its own arguments follow --')
      .option('--port <port>', 'the port of the target'),
  ).action(async (...[destination, sshArguments, options, command]: SshAction) => {
    const { runSsh } = await import('./commands/ssh.ts');
    const context = await createContext(command, surroundings);
    const call = { destination, sshArguments, options };
    setExitCode(await runSsh(context, call, invocation));
  });
  withWish(
    program
      .command('ssh-config [targets...]')
      .description('print a block for ~/.ssh/config, so that ssh, scp, rsync and editors connect')
      .addOption(createNoWait()),
  ).action(async (targets: string[], options: SessionOptions, command: Command) => {
    const { printSshConfig } = await import('./commands/ssh-config.ts');
    const context = await createContext(command, surroundings);
    await printSshConfig(context, targets, options, invocation);
  });
}

function addStreams(program: Command, surroundings: Surroundings): void {
  withSession(
    program
      .command('connect <target>')
      .description('join standard input and output to a port of a target, as a ProxyCommand')
      .option('--port <port>', 'the port of the target')
      .option('--protocol <name>', 'ssh, rdp or tcp', 'ssh'),
  ).action(async (target: string, options: SessionOptions, command: Command) => {
    const { connectTarget } = await import('./commands/connect.ts');
    const { openStandardStreams: openEnds } = await import('./standard-streams.ts');
    const context = await createContext(command, surroundings);
    const signal = surroundings.watchSignals();
    await connectTarget(context, target, options, { openEnds, signal });
  });
  withSession(
    program
      .command('tunnel <target>')
      .description('listen on 127.0.0.1 and join each connection to a port of a target')
      .option('--port <port>', 'the port of the target')
      .option('--protocol <name>', 'ssh, rdp or tcp (rdp for port 3389, else tcp)')
      .option('--local <port>', 'the port to listen on; 0 for a free one', '0')
      .option('--keep', 'do not terminate the session at the end'),
  ).action(async (target: string, options: TunnelOptions, command: Command) => {
    const { runTunnel } = await import('./commands/tunnel.ts');
    const context = await createContext(command, surroundings);
    await runTunnel(context, target, options, surroundings.watchSignals());
  });
}

function withWish(command: Command): Command {
  return command
    .option('--duration <time>', 'how long the session may last, such as 30m or 1h30m')
    .option('--reason <text>', 'why, for the audit and for policies that ask for it')
    .option('--change <reference>', 'a change or incident reference')
    .option('--terms <name>', 'the bundle of terms to ask for (a profile of policy)')
    .option('--delegation <id>', 'as a workload, ask in the name of the person who gave this')
    .option('--start', 'have the target started when it is stopped, where policy permits that');
}

// What was granted cannot be changed, so the wishes for a new session make no sense with it.
const wishes = ['port', 'duration', 'reason', 'change', 'terms', 'delegation', 'start'];

function withSession(command: Command): Command {
  const session = new Option('--session <id>', 'use a session that is there, and leave it so');
  return withWish(command)
    .addOption(session.conflicts(wishes))
    .option('--end', 'terminate that session at the end')
    .addOption(createNoWait());
}
