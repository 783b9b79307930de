import { parseArgs } from 'node:util';
import { startTables } from './azurite.ts';

// The table service as one process: `node local/tables.ts --port N --folder F`.
const { values } = parseArgs({
  options: { port: { type: 'string', default: '10002' }, folder: { type: 'string' } },
});
if (values.folder === undefined) throw new Error('Name the folder of the tables with --folder.');

const tables = await startTables({ folder: values.folder, port: Number(values.port) });
const { connectionString, url } = tables;
process.stdout.write(`${JSON.stringify({ event: 'listening', url, connectionString })}\n`);

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    void tables.close().finally(() => process.exit());
  });
}
