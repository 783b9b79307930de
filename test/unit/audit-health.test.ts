import { describe, expect, test } from 'vitest';
import { createAuditProbe } from '../../lib/audit-health.ts';
import { BrokerError } from '../../lib/failure.ts';
import { createHealthCheck } from '../../lib/health.ts';
import { endSession } from '../support/audit-contract.ts';
import { call } from '../support/call.ts';
import { collectLogLines } from '../support/log-lines.ts';
import { auditor, startQueryBench } from '../support/query-bench.ts';
import { ada } from '../support/test-broker.ts';

collectLogLines();

function start() {
  const bench = startQueryBench({
    identify: async (token) => {
      const caller = [ada, auditor].find(({ name }) => name === token);
      if (caller === undefined) throw new BrokerError('token-invalid', 'Sign in again.');
      return caller;
    },
  });
  const { audit, auditIndex, now } = bench.broker;
  if (audit.list === undefined || auditIndex === undefined) throw new Error('no index');
  const failures: unknown[] = [];
  const probe = createAuditProbe({
    list: audit.list,
    index: auditIndex.table,
    checkpoints: auditIndex.checkpoints,
    now,
  });
  const log = (_event: string, facts?: object) => void failures.push(facts);
  const health = createHealthCheck({ audit: probe }, now, log);
  const broker = { ...bench.broker, health };
  const read = async () => {
    const { status, body } = await call(broker, 'GET', '/api/health/ready');
    bench.clock.pass(5);
    return { status, body };
  };
  return { ...bench, broker, read, failures };
}

const healthy = { status: 200, body: { status: 'healthy', checks: { audit: 'healthy' } } };
const degraded = { status: 200, body: { status: 'degraded', checks: { audit: 'degraded' } } };
const unhealthy = { status: 503, body: { status: 'unhealthy', checks: { audit: 'unhealthy' } } };

describe('the health of the audit log', () => {
  test('is good while everything is sealed within ten minutes', async () => {
    const { read, openWriter, openSealer, clock } = start();
    const writer = openWriter();
    const sealer = openSealer();
    expect(await read()).toEqual(healthy);
    await writer.append([endSession('a')]);
    await sealer.seal();
    clock.pass(3000);
    expect(await read()).toEqual(healthy);
    // The last checkpoint is older than ten minutes, and the entry is not.
    await writer.append([endSession('b')]);
    clock.pass(590);

    expect(await read()).toEqual(healthy);
  });

  test('is degraded when no sealer has come by for ten minutes, and sessions are granted', async () => {
    const { read, openWriter, openSealer, clock, failures } = start();
    const writer = openWriter();
    await openSealer().seal();
    const [receipt] = await writer.append([endSession('b')]);
    clock.pass(600);

    expect(await read()).toEqual(degraded);
    expect(String(failures.map((facts) => JSON.stringify(facts, names)))).toContain(
      `entry 1 of chain ${receipt?.chain}`,
    );
    await openSealer().seal();
    expect(await read()).toEqual(healthy);
  });

  // To anybody, the answer says no more than that; which entry is in the log, and for auditors.
  test('is bad when a chain is broken, and stays so until an operator has looked into it', async () => {
    const { read, openWriter, openSealer, audit, index, broker, failures } = start();
    const [receipt] = await openWriter().append([endSession('a')]);
    const { chain = '' } = receipt ?? {};
    await audit.remove(chain, '000000000001');
    await openSealer().seal();

    const bad = await read();
    const told = await call(broker, 'GET', '/api/audit/alarms', { token: 'audrey' });
    const refused = await call(broker, 'GET', '/api/audit/alarms', { token: 'ada' });
    const [alarm] = index.rows().filter(({ partition }) => partition === 'alarms');
    if (alarm !== undefined)
      await index.put([{ ...alarm, values: { ...alarm.values, acknowledged: true } }]);
    await openSealer().seal();

    expect(bad).toEqual(unhealthy);
    expect(told.body).toMatchObject({ value: [{ chain, sequence: 1, acknowledged: false }] });
    expect(refused).toMatchObject({ status: 403 });
    expect(JSON.stringify(failures, names)).toContain(`Entry 1 of chain ${chain}`);
    expect(await read()).toEqual(healthy);
  });

  test('is bad when a checkpoint is', async () => {
    const { read, openWriter, openSealer, audit } = start();
    await openWriter().append([endSession('a')]);
    await openSealer().seal();
    await audit.put([{ partition: 'cp', row: '000000000001', values: {} }]);

    expect(await read()).toEqual(unhealthy);
  });

  test('is bad when an alarm cannot be read', async () => {
    const { read, index } = start();
    await index.put([{ partition: 'alarms', row: 'x', values: {} }]);

    expect(await read()).toEqual(unhealthy);
  });
});

function names(_name: string, value: unknown): unknown {
  return value instanceof Error ? value.message : value;
}
