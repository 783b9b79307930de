import { parseArgs } from 'node:util';

/** What `npm start` was asked for. Ports that are absent are chosen. */
export type StartOptions = {
  readonly data?: string;
  readonly port?: number;
  readonly gatewayPort?: number;
  readonly once: boolean;
};

/** The command line is wrong; the message says how to write it. */
export class UsageError extends Error {}

export const usage = `npm start -- [options]

  --data FOLDER        where state lives; your user's data directory when absent
  --port N             the port of the broker; the last one, or a free one, when absent
  --gateway-port N     the port of the gateway, likewise
  --once               prove that everything works, and exit with 0, or with 1 and the reason
  --help               print this
`;

/** Returns the options, or fails with a `UsageError`. */
export function parseStartOptions(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): StartOptions | 'help' {
  refuseTakenByNpm(env);
  const values = parseWords(args);
  if (values.help) return 'help';
  const { data } = values;
  const port = parsePort('--port', values.port);
  const gatewayPort = parsePort('--gateway-port', values['gateway-port']);
  if (data === '') throw new UsageError('Name a folder with --data.');
  if (port !== undefined && port === gatewayPort)
    throw new UsageError('Give --port and --gateway-port two different ports.');
  return {
    once: values.once,
    ...(data === undefined ? {} : { data }),
    ...(port === undefined ? {} : { port }),
    ...(gatewayPort === undefined ? {} : { gatewayPort }),
  };
}

type Words = {
  readonly data?: string;
  readonly port?: string;
  readonly 'gateway-port'?: string;
  readonly once: boolean;
  readonly help: boolean;
};

function parseWords(args: readonly string[]): Words {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        data: { type: 'string' },
        port: { type: 'string' },
        'gateway-port': { type: 'string' },
        once: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    return values;
  } catch (cause) {
    const [fault] = (cause instanceof Error ? cause.message : String(cause)).split(
      /\.?\s*(?:\n|\. |$)/,
    );
    throw new UsageError(`${fault}. The options are those of npm start -- --help.`, { cause });
  }
}

// Without the two dashes npm takes the options for its own, and we would run as if there were none.
function refuseTakenByNpm(env: Readonly<Record<string, string | undefined>>): void {
  const taken = ['once', 'data', 'gateway_port'].find((name) => env[`npm_config_${name}`]);
  if (taken !== undefined)
    throw new UsageError('Write two dashes before the options, as in npm start -- --once.');
}

function parsePort(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (1 <= port && port <= 65_535) return port;
  throw new UsageError(`Give ${option} a port from 1 to 65535, not '${text}'.`);
}
