import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import * as z from 'zod';
import { Cli } from '../support/cli-process.ts';
import { startBroker } from '../support/stand-in-broker.ts';
import type { StandInBroker } from '../support/stand-in-broker.ts';

let folder: string;
let broker: StandInBroker;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-cli-'));
  broker = await startBroker(() => 'wss://127.0.0.1:1/connect');
});

afterEach(async () => {
  await broker.close();
  rmSync(folder, { recursive: true });
});

/** The tokens that the broker was called with. */
function seenTokens(): readonly string[] {
  return broker.seen.flatMap(({ authorization }) => authorization?.replace('Bearer ', '') ?? []);
}

describe('a workload', () => {
  test('reads the token file at each use', async () => {
    const file = join(folder, 'token');
    const workload = new Cli({ SALLYPORT_BROKER: broker.url, SALLYPORT_TOKEN_FILE: file });
    writeFileSync(file, 'first\n');
    await workload.run('whoami');
    writeFileSync(file, 'second\n');
    await workload.run('whoami');

    expect(seenTokens()).toEqual(['first', 'second']);
  });

  test('gets its token from GitHub Actions for the audience of the broker', async () => {
    const asked: (string | undefined)[] = [];
    const github = createServer((request, response) => {
      asked.push(request.url, request.headers.authorization);
      response.end('{"value":"github-token"}');
    }).listen(0, '127.0.0.1');
    await once(github, 'listening');
    const { port } = z.object({ port: z.number() }).parse(github.address());
    broker.issuer = 'https://token.actions.githubusercontent.com';
    broker.audience = 'api://AzureADTokenExchange';
    const workload = new Cli({
      SALLYPORT_BROKER: broker.url,
      ACTIONS_ID_TOKEN_REQUEST_URL: `http://127.0.0.1:${port}/token?api-version=2`,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'request-token',
    });

    const run = await workload.run('whoami', '--audience', 'api://sallyport');

    const unsaid = await workload.run('whoami');
    github.close();
    expect(unsaid.exitCode).toBe(3);
    expect(run).toMatchObject({ exitCode: 0 });
    const query = 'api-version=2&audience=api%3A%2F%2Fsallyport';
    expect(asked).toEqual([`/token?${query}`, 'Bearer request-token']);
    expect(seenTokens()).toEqual(['github-token']);
  });
});
