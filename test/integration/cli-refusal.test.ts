import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { closeCodes } from '../../lib/close-reason.ts';
import { BrokerError } from '../../lib/failure.ts';
import { startBench } from '../support/cli-bench.ts';
import { Cli } from '../support/cli-process.ts';
import { toReply } from '../support/stand-in-broker.ts';
import type { StandInBroker } from '../support/stand-in-broker.ts';
import type { StandInGateway } from '../support/stand-in-gateway.ts';

let broker: StandInBroker;
let gateway: StandInGateway;
let cli: Cli;
let close: () => Promise<void>;

beforeEach(async () => {
  ({ broker, gateway, cli, close } = await startBench());
});

afterEach(async () => close());

describe('a refusal', () => {
  test('prints the advice of a denial and exits with 4', async () => {
    const advice = ['Ask the owner of vm-one for access.'];
    broker.intercept = ({ method }) =>
      method === 'PUT'
        ? toReply(new BrokerError('access-denied', 'No policy permits this.', { advice }))
        : undefined;

    const run = await cli.run('connect', 'vm-one');

    expect(run).toMatchObject({ exitCode: 4, stdout: '' });
    expect(run.stderr).toBe(
      'sallyport: No policy permits this: No policy permits this.\n' +
        '  advice: Ask the owner of vm-one for access.\n',
    );
  });

  test('prints each fault of a request and exits with 2', async () => {
    const faults = [{ pointer: '/durationSeconds', detail: 'Ask for a minute or more.' }];
    broker.intercept = ({ method }) =>
      method === 'PUT'
        ? toReply(new BrokerError('request-invalid', 'Correct the request.', { faults }))
        : undefined;

    const run = await cli.run('connect', 'vm-one', '--duration', '1s');

    expect(run.exitCode).toBe(2);
    expect(run.stderr).toContain('  /durationSeconds: Ask for a minute or more.\n');
  });

  test('prints the problem with which the gateway refuses, and terminates the session', async () => {
    gateway.refuse = () =>
      toReply(new BrokerError('target-refused', 'Nothing listens on that port.'));

    const run = await cli.run('connect', 'vm-one');

    expect(run).toMatchObject({ exitCode: 8, stdout: '' });
    expect(run.stderr).toContain('Nothing listens on that port.');
    expect([...broker.sessions.values()]).toMatchObject([{ state: 'ended' }]);
  });

  test.each([
    ['session-terminated', 6, 'terminated'],
    ['policy', 4, 'Policy'],
    ['target-refused', 8, 'does not accept'],
    ['target-timeout', 8, 'did not answer'],
    ['gateway-drained', 7, 'replaced'],
  ] as const)('says why the gateway closed with %s', async (reason, exitCode, words) => {
    gateway.serve = (socket) => socket.close(closeCodes[reason], reason);

    const run = await cli.run('connect', 'vm-one');

    expect(run).toMatchObject({ exitCode, stdout: '' });
    expect(run.stderr).toMatch(/^sallyport: [^\n]+\.\n$/);
    expect(run.stderr).toContain(words);
  });

  test('exits with 7 when the connection is lost in the middle', async () => {
    gateway.serve = (socket) => socket.terminate();

    const run = await cli.run('connect', 'vm-one');

    expect(run).toMatchObject({ exitCode: 7 });
    expect(run.stderr).toContain('lost');
  });

  test('exits with 7 and says what to do when the certificate of the gateway is not trusted', async () => {
    const stranger = new Cli({ SALLYPORT_BROKER: broker.url, SALLYPORT_TOKEN: 'token' });

    const run = await stranger.run('connect', 'vm-one');

    expect(run.exitCode).toBe(7);
    expect(run.stderr).toContain('--ca');
    expect(gateway.presented).toEqual([]);
  });

  test('exits with 5 for a name that is not among the targets, without asking for a session', async () => {
    const run = await cli.run('connect', 'vm-two');

    expect(run.exitCode).toBe(5);
    expect(broker.seen.some(({ method }) => method === 'PUT')).toBe(false);
  });
});
