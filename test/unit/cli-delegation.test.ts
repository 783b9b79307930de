import { describe, expect, test } from 'vitest';
import { toConnectWords } from '../../cli/commands/ssh.ts';
import { toQuery } from '../../cli/commands/sessions.ts';
import { parseBytes, parseService, parseUntil } from '../../cli/delegation-wish.ts';
import { parseWish } from '../../cli/wish.ts';
import { delegationId } from '../support/delegations.ts';

const now = new Date('2026-03-02T12:00:00Z');

describe('the arguments of delegate', () => {
  test.each([
    ['ssh', { protocol: 'ssh', port: 22 }],
    ['rdp', { protocol: 'rdp', port: 3389 }],
    ['ssh:2222', { protocol: 'ssh', port: 2222 }],
    ['tcp:5432', { protocol: 'tcp', port: 5432 }],
  ])('take the service %s', (text, service) => {
    expect(parseService(text)).toEqual(service);
  });

  test.each([
    ['tcp', 'Give the port'],
    ['ftp', 'The protocol is'],
    ['', 'The protocol is'],
    ['ssh:', 'Write a port'],
    ['ssh:0', 'Write a port'],
    ['tcp:70000', 'Write a port'],
  ])('refuse the service "%s"', (text, sentence) => {
    expect(() => parseService(text)).toThrow(sentence);
  });

  test.each([
    ['8h', '2026-03-02T20:00:00.000Z'],
    ['1h30m', '2026-03-02T13:30:00.000Z'],
    ['2d', '2026-03-04T12:00:00.000Z'],
    ['2026-03-02T18:00:00+01:00', '2026-03-02T17:00:00.000Z'],
  ])('take the end %s', (text, end) => {
    expect(parseUntil(text, now).toISOString()).toBe(end);
  });

  test.each(['tomorrow', '2026-03-02T18:00:00', '2026-03-03', '8', ''])(
    'refuse the end "%s"',
    (text) => {
      expect(() => parseUntil(text, now)).toThrow('Write how long');
    },
  );

  test('take amounts of bytes, and no others', () => {
    expect(['1', '500MiB', '2GiB'].map(parseBytes)).toEqual([1, 524_288_000, 2_147_483_648]);
    for (const text of ['0', '1MB', '-1', '1.5GiB', ''])
      expect(() => parseBytes(text)).toThrow('Write an amount');
  });
});

describe('--delegation', () => {
  test('goes into the request, and into the words of the ProxyCommand', () => {
    const options = { delegation: delegationId };

    expect(parseWish(options)).toEqual({ delegation: delegationId });
    expect(toConnectWords('vm', options)).toEqual([
      'connect',
      'vm',
      `--delegation=${delegationId}`,
    ]);
  });
});

test('--on-behalf-of asks for the sessions in the name of a person', () => {
  expect(toQuery({ onBehalfOf: 'me', all: true }, now)).toEqual({ onBehalfOf: 'me' });
});
