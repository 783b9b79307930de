import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseDuration, parsePort } from '../../cli/argument.ts';
import { parseDestination } from '../../cli/commands/ssh.ts';
import { toQuery } from '../../cli/commands/sessions.ts';
import { parseProtocol } from '../../cli/find-target.ts';
import { exitCodeOf } from '../support/exit-code-of.ts';

describe('parseDuration', () => {
  test.each([
    ['90s', 90],
    ['30m', 1800],
    ['2h', 7200],
    ['1h30m', 5400],
    ['1h0m5s', 3605],
  ])('reads %s as %i seconds', (text, seconds) => {
    expect(parseDuration(text)).toBe(seconds);
  });

  test.each(['', '30', 'm', '1.5h', '-1m', '30m1h', '1 h', '1d', '999999999s'])(
    "refuses '%s'",
    (text) => {
      expect(exitCodeOf(() => parseDuration(text))).toBe(2);
    },
  );
});

describe('parsePort', () => {
  test('takes every port', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 65_535 }), (port) => {
        expect(parsePort(String(port))).toBe(port);
      }),
    );
  });

  test.each(['-1', '65536', '99999', '100000', '', '0x16', '22 ', '1e3', '２２'])(
    "refuses '%s'",
    (text) => {
      expect(exitCodeOf(() => parsePort(text))).toBe(2);
    },
  );

  test('takes zero only where any free port will do', () => {
    expect(parsePort('0', 0)).toBe(0);
    expect(exitCodeOf(() => parsePort('0'))).toBe(2);
  });
});

describe('parseDestination', () => {
  test.each([
    ['vm-one', { target: 'vm-one' }],
    ['ada@vm-one', { user: 'ada', target: 'vm-one' }],
    ['ada@contoso.com@vm-one', { user: 'ada@contoso.com', target: 'vm-one' }],
  ])('reads %s', (text, destination) => {
    expect(parseDestination(text)).toEqual(destination);
  });

  test.each(['', '@vm-one', 'ada@'])("refuses '%s'", (text) => {
    expect(exitCodeOf(() => parseDestination(text))).toBe(2);
  });
});

describe('parseProtocol', () => {
  test('refuses what no policy knows', () => {
    expect(parseProtocol('rdp')).toBe('rdp');
    expect(exitCodeOf(() => parseProtocol('vnc'))).toBe(2);
  });
});

describe('toQuery', () => {
  const now = new Date('2025-11-24T12:00:00Z');

  test('looks no further back than a session can be open', () => {
    expect(toQuery({}, now)).toEqual({ from: '2025-11-22T12:00:00.000Z' });
  });

  test('looks back without end for one state, and for all', () => {
    expect(toQuery({ status: 'ended' }, now)).toEqual({ status: 'ended' });
    expect(toQuery({ all: true, caller: 'all' }, now)).toEqual({ caller: 'all' });
  });

  test('refuses a state that sessions do not have', () => {
    expect(exitCodeOf(() => toQuery({ status: 'open' }, now))).toBe(2);
  });
});
