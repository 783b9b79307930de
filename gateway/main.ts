import { parseConfig } from './config.ts';
import { createLog, describeError } from './log.ts';
import { startGateway } from './start.ts';

const log = createLog((line) => process.stdout.write(line));

// Whoever read the log may be gone. Without this, saying so would be the next thing to go wrong, and so on.
process.stdout.on('error', () => undefined);

// One connection that goes wrong must not end the others.
process.on('uncaughtException', (error) => {
  const at = error.stack
    ?.split('\n')
    .filter((line) => line.startsWith('    at '))
    .slice(0, 4);
  log('fault', { cause: describeError(error), at });
});

try {
  const gateway = await startGateway(parseConfig(process.env), log);
  let isStopping = false;
  const stop = (): void => {
    if (isStopping) process.exit(1);
    isStopping = true;
    gateway.drain().then(
      () => process.exit(0),
      (error: unknown) => {
        log('fault', { cause: describeError(error) });
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
} catch (error) {
  process.stderr.write(`${describeError(error)}\n`);
  process.exit(1);
}
