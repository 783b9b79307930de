import { describe, expect, test } from 'vitest';
import { parseAnswer } from '../../cli/api-answer.ts';
import { findCloseError, isSessionEnd } from '../../cli/close-sentence.ts';
import { toCommandError } from '../../cli/command-error.ts';
import { findExitCode } from '../../cli/exit-code.ts';
import { readRetryAfter } from '../../cli/retry-after.ts';
import { targetListShape, whoamiShape } from '../../lib/session-view.ts';
import { closeCodes, closeReasons } from '../../lib/close-reason.ts';
import { BrokerError } from '../../lib/failure.ts';
import { toProblem } from '../../lib/problem.ts';

describe('findExitCode', () => {
  test.each([
    ['token-invalid', 401, 3],
    ['access-denied', 403, 4],
    ['not-found', 404, 5],
    ['session-limit', 429, 6],
    ['audit-unavailable', 503, 7],
    ['target-stopped', 409, 8],
  ])('is that of the code %s', (code, status, exitCode) => {
    expect(findExitCode({ code, status })).toBe(exitCode);
  });

  test.each([
    [400, 2],
    [401, 3],
    [403, 4],
    [404, 5],
    [409, 6],
    [429, 6],
    [500, 7],
    [503, 7],
    [302, 1],
  ])('is that of the status %i when the code is not known', (status, exitCode) => {
    expect(findExitCode({ code: 'made-up-later', status })).toBe(exitCode);
  });
});

describe('toCommandError', () => {
  test('says what is wrong, what to do, and what policy advises', () => {
    const failure = new BrokerError('access-denied', 'Ask the owner.', {
      advice: ['Give a reason.', 'Come back on Monday.'],
    });

    expect(toCommandError(toProblem(failure))).toMatchObject({
      exitCode: 4,
      message: 'No policy permits this: Ask the owner.',
      notes: ['advice: Give a reason.', 'advice: Come back on Monday.'],
    });
  });

  test('says what policy still asks for', () => {
    const needs = [{ kind: 'acr', acr: 'c1' } as const];
    const failure = new BrokerError('needs-unmet', 'Meet them.', { needs });

    expect(toCommandError(toProblem(failure))).toMatchObject({
      exitCode: 4,
      notes: ['needs: Sign in with the authentication context c1.'],
    });
  });

  test('names the request when the broker itself is at fault', () => {
    const failure = new BrokerError('audit-unavailable', 'Try again.');

    expect(toCommandError(toProblem(failure, 'r-1')).notes).toEqual(['request: r-1']);
  });
});

describe('findCloseError', () => {
  test('is nothing for a proper end, whatever the reason says', () => {
    expect(findCloseError({ code: 1000, reason: 'policy' })).toBeUndefined();
  });

  // What a gateway sends and what the command understands are one table.
  test('gives each close of a gateway the same exit code with its reason and without', () => {
    const codes = new Map(Object.entries(closeCodes));
    for (const reason of closeReasons) {
      const code = codes.get(reason) ?? 1000;
      if (code === 1000) continue;
      const given = findCloseError({ code, reason });
      expect(given?.message).toMatch(/^[A-Z].*\.$/);
      if (reason === 'lease-lost' || reason === 'target-timeout' || reason === 'target-lost')
        continue;
      expect(findCloseError({ code, reason: '' })?.exitCode).toBe(given?.exitCode);
    }
  });

  test('takes a code that it does not know for a lost connection', () => {
    expect(findCloseError({ code: 1006, reason: '' })).toMatchObject({ exitCode: 7 });
    expect(findCloseError({ code: 4999, reason: '' })).toMatchObject({ exitCode: 7 });
  });

  test('lets no reason turn a failure into a proper end', () => {
    expect(findCloseError({ code: 4403, reason: 'target-closed' })).toMatchObject({ exitCode: 4 });
  });

  test('tells the end of the session from the end of one connection', () => {
    expect(isSessionEnd({ code: 4410, reason: '' })).toBe(true);
    expect(isSessionEnd({ code: 4408, reason: '' })).toBe(false);
  });
});

describe('parseAnswer', () => {
  test('says where an answer is not what this version understands', () => {
    const reply = { status: 200, text: '{"id":1}' };

    expect(() => parseAnswer(reply, whoamiShape, 'GET /api/whoami')).toThrow(
      /GET \/api\/whoami is not what this version .*\/id/,
    );
  });

  // A broker may be newer than the command.
  test('drops members that it does not know, at any depth, and keeps the others', () => {
    const terms = { maxDurationSeconds: 60 };
    const service = { protocol: 'ssh', port: 22, terms };
    const known = { id: '5a11a000-0000-4000-8000-0000000000f1', name: 'vm-one', os: 'linux' };
    const target = { ...known, power: 'running', services: [service, service] };
    const later = { ...target, zone: 'b', services: [service, { ...service, zone: 'c' }] };
    const text = JSON.stringify({ value: [target, later, later], total: 3 });

    const page = parseAnswer({ status: 200, text }, targetListShape, 'GET /api/targets');

    expect(page).toEqual({ value: [target, target, target] });
  });

  test('keeps the advice of a problem with members of a later version (RFC 9457)', () => {
    const advice = ['Ask an operator.'];
    const denial = toProblem(
      new BrokerError('access-denied', 'No policy permits this.', { advice }),
    );
    const text = JSON.stringify({ ...denial, instance: '/api/sessions/1' });

    expect(() => parseAnswer({ status: 403, text }, whoamiShape, 'PUT')).toThrow(
      expect.objectContaining({ code: 'access-denied', notes: ['advice: Ask an operator.'] }),
    );
  });

  test('takes a page of a proxy for the status that it has', () => {
    const reply = { status: 502, text: '<html>' };

    expect(() => parseAnswer(reply, whoamiShape, 'GET /api/whoami')).toThrow(
      expect.objectContaining({ exitCode: 7 }),
    );
  });
});

describe('readRetryAfter', () => {
  test.each([
    ['5', 5],
    ['0', 0],
    ['-1', undefined],
    ['1e9', undefined],
    ['99999999', undefined],
    ['Wed, 21 Oct 2015 07:28:00 GMT', undefined],
    [undefined, undefined],
  ])('reads %s as %s', (text, seconds) => {
    expect(readRetryAfter(text === undefined ? {} : { 'retry-after': text })).toBe(seconds);
  });
});
