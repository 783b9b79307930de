import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startFunctionsHost } from './functions-host.ts';

// The broker as one process: `node local/broker.ts --port N [--scripts dist/functions]`. Its
// settings are the environment, as in Azure. Every line on standard output is a JSON object.
const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '7071' },
    scripts: {
      type: 'string',
      default: fileURLToPath(new URL('../dist/functions', import.meta.url)),
    },
  },
});

const log = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

const host = await startFunctionsHost({
  scripts: values.scripts,
  host: '127.0.0.1',
  port: Number(values.port),
  log,
});
log(JSON.stringify({ event: 'listening', url: host.url }));

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    // What the app keeps open must not hold the process: its end has been awaited.
    void host.close().finally(() => process.exit());
  });
}
