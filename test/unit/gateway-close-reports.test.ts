import { describe, expect, test } from 'vitest';
import type { ReportClose } from '../../gateway/close-reports.ts';
import { CloseReports } from '../../gateway/close-reports.ts';

const report = {
  instance: '22222222-2222-4222-8222-222222222222',
  session: '33333333-3333-4333-8333-333333333333',
  reason: 'client-closed',
  bytesUp: 0,
  bytesDown: 0,
  durationMilliseconds: 0,
} as const;

function setUp(answer: ReportClose): { reports: CloseReports; log: string[] } {
  const log: string[] = [];
  return { reports: new CloseReports(answer, (event) => log.push(event)), log };
}

describe('CloseReports', () => {
  test('keeps what the broker did not take, and sends it at the next flush', async () => {
    const taken: string[] = [];
    let isAway = true;
    const { reports } = setUp(async (connection) => {
      if (isAway) throw new Error('away');
      taken.push(connection);
      return 'taken';
    });
    for (let i = 0; i < 40; i += 1) reports.add(`connection-${i}`, report);
    await reports.flush();
    expect(reports.waiting.size).toBe(40);
    isAway = false;
    await reports.flush();

    expect(reports.waiting.size).toBe(0);
    expect(new Set(taken).size).toBe(40);
  });

  test('drops a report that the broker will never take, and says so', async () => {
    const { reports, log } = setUp(async () => 'refused');
    reports.add('connection-1', report);
    await reports.flush();

    expect(reports.waiting.size).toBe(0);
    expect(log).toEqual(['close-report-refused']);
  });

  test('drops the oldest when 20,000 wait, and says so', () => {
    const { reports, log } = setUp(async () => new Promise(() => {}));
    for (let i = 0; i <= 20_000; i += 1) reports.add(`connection-${i}`, report);

    expect(reports.waiting.size).toBe(20_000);
    expect(reports.waiting.has('connection-0')).toBe(false);
    expect(log).toEqual(['close-report-dropped']);
  });
});
