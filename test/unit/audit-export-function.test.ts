import { describe, expect, test } from 'vitest';
import { exportAudit } from '../../lib/audit-export.ts';
import { continuationSeconds } from '../../lib/continuation.ts';
import { BrokerError } from '../../lib/failure.ts';
import { call } from '../support/call.ts';
import {
  auditor,
  openExportBench,
  readNext,
  writeLog,
  writeLongLog,
} from '../support/export-bench.ts';
import { collectLogLines } from '../support/log-lines.ts';
import { eve, memoryAudit } from '../support/test-broker.ts';

collectLogLines();

const path = '/api/audit/export';

async function openLog() {
  const bench = openExportBench();
  await writeLog(bench);
  return bench;
}

async function openLongLog(entries: number) {
  const bench = openExportBench();
  await writeLongLog(bench, entries);
  return bench;
}

describe(`GET ${path}`, () => {
  const query = { from: '2026-03-02', to: '2026-03-03' };
  const identify = async () => auditor;

  test('200 as NDJSON', async () => {
    const { broker } = await openLog();

    const answer = await call({ ...broker, identify }, 'GET', path, { token: 'ada', query });

    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('application/x-ndjson');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.body).toMatch(/^\{"line":"header".*\n\{"line":"end".*\}\n$/s);
  });

  test('400 for days that are none, out of order, or still to come', async () => {
    const { broker } = await openLog();
    const faulty = [
      { from: '2026-03' },
      { from: '2026-03-02', to: 'x' },
      { from: '2026-03-03', to: '2026-03-02' },
      { from: '2027-01-01' },
      {},
    ];

    for (const wrong of faulty) {
      const sent = { token: 'ada', query: wrong };
      expect(await call({ ...broker, identify }, 'GET', path, sent)).toMatchObject({
        status: 400,
        body: { code: 'request-invalid' },
      });
    }
  });

  test('400 for a continuation that was changed, of another caller or of another query', async () => {
    const { broker } = await openLongLog(50);
    const from = '2026-03-02';
    const after = readNext(await exportAudit(broker, auditor, { from }));
    const flipped = `${after.slice(0, -10)}${after.at(-10) === 'A' ? 'B' : 'A'}${after.slice(-9)}`;
    const other = async () => ({ ...eve, roles: auditor.roles });
    const tries = [
      { broker: { ...broker, identify }, query: { from, after: flipped } },
      { broker: { ...broker, identify }, query: { from: '2026-03-01', after } },
      { broker: { ...broker, identify }, query: { from, after: 'x' } },
      { broker: { ...broker, identify: other }, query: { from, after } },
    ];

    for (const { broker: asked, query: sent } of tries)
      expect(await call(asked, 'GET', path, { token: 'ada', query: sent })).toMatchObject({
        status: 400,
        body: { code: 'continuation-invalid' },
      });
  });

  test('401 without a token', async () => {
    const { broker } = await openLog();

    expect(await call(broker, 'GET', path, { query })).toMatchObject({ status: 401 });
  });

  test('403 without the role, before anything is read or recorded', async () => {
    const bench = await openLog();
    const audit = { ...memoryAudit(), list: async () => Promise.reject(new Error('it was read')) };

    const answer = await call({ ...bench.broker, audit }, 'GET', path, { token: 'ada', query });

    expect(answer).toMatchObject({ status: 403, body: { code: 'role-missing' } });
    expect(audit.entries).toEqual([]);
  });

  test('410 when the continuation has expired', async () => {
    const { broker, clock } = await openLongLog(50);
    const from = '2026-03-02';
    const after = readNext(await exportAudit(broker, auditor, { from }));
    clock.pass(continuationSeconds + 10);

    const sent = { token: 'ada', query: { from, after } };

    expect(await call({ ...broker, identify }, 'GET', path, sent)).toMatchObject({
      status: 410,
      body: { code: 'continuation-expired' },
    });
  });

  test('503 where the audit log cannot be written or read', async () => {
    const { broker } = await openLog();
    const down = new BrokerError('audit-unavailable', 'Try again in a few seconds.');
    const audits = [memoryAudit(), { ...broker.audit, append: async () => Promise.reject(down) }];

    const answers = await Promise.all(
      audits.map(async (audit) =>
        call({ ...broker, identify, audit }, 'GET', path, { token: 'ada', query }),
      ),
    );

    expect(answers).toMatchObject([
      { status: 503, body: { code: 'audit-unavailable' } },
      { status: 503, body: { code: 'audit-unavailable' } },
    ]);
  });
});
