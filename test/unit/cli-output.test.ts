import { endianness } from 'node:os';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatBytes, formatTable } from '../../cli/format.ts';
import { findSocketOwner } from '../../cli/local-peer.ts';
import type { LoopbackEnds } from '../../cli/local-peer.ts';
import { createTerminal } from '../../cli/terminal.ts';
import { parseAzureToken } from '../../cli/tokens/azure-cli.ts';
import { toResourceScope } from '../../cli/tokens/oauth.ts';
import { describeTunnelEvent } from '../../cli/tunnel-event.ts';

function capture(): {
  readonly lines: string[];
  readonly terminal: ReturnType<typeof createTerminal>;
} {
  const lines: string[] = [];
  const sink = { write: (text: string) => lines.push(text) };
  const terminal = createTerminal(
    () => sink,
    () => sink,
  );
  return { lines, terminal };
}

// Every code unit, lone surrogates included.
const unit = fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code));

describe('the terminal', () => {
  test('prints one line for one line, whatever is in it', () => {
    fc.assert(
      fc.property(fc.string({ unit }), (text) => {
        const { lines, terminal } = capture();
        terminal.print(text);
        expect(lines.join('')).toMatch(/^[^\p{Cc}\u202A-\u202E\u2066-\u2069\u2028\u2029]*\n$/u);
      }),
    );
  });

  test('keeps a name from clearing the screen', () => {
    const { lines, terminal } = capture();

    terminal.note('vm\u001B[2J\u202Eone');

    expect(lines).toEqual(['vm [2J one\n']);
  });

  test('prints JSON that says the same, in plain characters', () => {
    fc.assert(
      fc.property(fc.string({ unit }), (name) => {
        const { lines, terminal } = capture();
        terminal.printJson({ name });
        expect(JSON.parse(lines.join(''))).toEqual({ name });
        expect(lines.join('')).toMatch(/^[^\p{Cc}\u202A-\u202E\u2066-\u2069]*\n$/u);
      }),
    );
  });
});

describe('terminal.show', () => {
  function createScreen(columns: number) {
    const texts: string[] = [];
    const screen = { write: (text: string) => texts.push(text), isTTY: true, columns };
    const terminal = createTerminal(
      () => screen,
      () => screen,
    );
    return { texts, terminal };
  }

  const clear = '\r\u001B[K';

  test('writes over the last line, and leaves none of it before a note', () => {
    const { texts, terminal } = createScreen(80);

    terminal.show('Waiting…', '1s');
    terminal.show('Waiting…', '2s');
    terminal.note('Done.');
    terminal.show(undefined);

    expect(texts).toEqual([`${clear}Waiting… (1s)`, `${clear}Waiting… (2s)`, clear, 'Done.\n']);
  });

  // A line that wraps is not cleared, and what a target is called must not steer the terminal.
  test('writes one line that fits, whatever the text is', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.integer({ min: 20, max: 200 }),
        (text, columns) => {
          const { texts, terminal } = createScreen(columns);
          terminal.show(text, '1h2m3s');
          const [shown = ''] = texts;
          const line = shown.slice(clear.length);
          expect(shown.startsWith(clear)).toBe(true);
          expect(line.length).toBeLessThan(columns);
          expect(line).toMatch(/^[^\p{Cc}\u202A-\u202E\u2066-\u2069\u2028\u2029]*\(1h2m3s\)$/u);
        },
      ),
    );
  });
});

describe('formatTable', () => {
  test('lines columns up, without blanks at the end', () => {
    expect(
      formatTable(
        ['NAME', 'OS'],
        [
          ['vm-one', 'linux'],
          ['x', ''],
        ],
      ),
    ).toEqual(['NAME    OS', 'vm-one  linux', 'x']);
  });
});

describe('formatBytes', () => {
  test.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [8 * 1024 * 1024, '8.0 MiB'],
    [2 ** 50, '1024.0 TiB'],
  ])('writes %i as %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});

describe('describeTunnelEvent', () => {
  test('says how much a connection carried, and why it ended when not properly', () => {
    const closed = { event: 'closed', connection: 3, bytesUp: 10, bytesDown: 2048 } as const;

    expect(describeTunnelEvent(closed)).toBe('#3 closed, 10 B up, 2.0 KiB down');
    expect(describeTunnelEvent({ ...closed, error: 'It broke.' })).toBe(
      '#3 closed, 10 B up, 2.0 KiB down: It broke.',
    );
  });
});

describe.skipIf(endianness() !== 'LE')('findSocketOwner', () => {
  const toEnds = (remotePort: number, address = '127.0.0.1'): LoopbackEnds => ({
    local: { address, port: 0x3419 },
    remote: { address, port: remotePort },
  });
  const table = [
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode',
    '   0: 0100007F:3419 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1',
    '   1: 0100007F:3419 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000        0 2',
    '   2: 0100007F:D431 0100007F:3419 01 00000000:00000000 00:00000000 00000000  1001        0 3',
  ].join('\n');

  test('finds the user of the other end, not of ours', () => {
    expect(findSocketOwner(table, toEnds(0xd431))).toBe(1001);
  });

  test('finds nobody for a connection that is not there', () => {
    expect(findSocketOwner(table, toEnds(1))).toBeUndefined();
  });

  // Whoever binds the same two ports to 127.0.0.2 first must not be taken for the one who connected.
  test('takes nobody for the peer who has the same ports on another address', () => {
    const decoy = '   9: 0200007F:D431 0100007F:3419 01 0:0 0:0 0 4242 0 4';
    const reverse = '   9: 0100007F:D431 0200007F:3419 01 0:0 0:0 0 4242 0 4';

    expect(findSocketOwner(`${decoy}\n${reverse}\n${table}`, toEnds(0xd431))).toBe(1001);
    expect(findSocketOwner(`${decoy}\n${reverse}`, toEnds(0xd431))).toBeUndefined();
  });

  test('knows an IPv4 address in the table of IPv6, and in the form of Node', () => {
    const mapped = '0000000000000000FFFF00000100007F';
    const line = `   4: ${mapped}:D431 ${mapped}:3419 01 0:0 0:0 0 1002 0 5`;

    expect(findSocketOwner(line, toEnds(0xd431))).toBe(1002);
    expect(findSocketOwner(table, toEnds(0xd431, '::ffff:127.0.0.1'))).toBe(1001);
  });
});

describe('parseAzureToken', () => {
  test('prefers the expiry that has no time zone to guess', () => {
    const answer = {
      accessToken: 't',
      expires_on: 1_764_000_000,
      expiresOn: '2001-01-01 00:00:00',
    };

    expect(parseAzureToken(JSON.stringify(answer))).toEqual({
      accessToken: 't',
      expiresAt: '2025-11-24T16:00:00.000Z',
    });
  });

  test('takes a token without an expiry for expired', () => {
    expect(parseAzureToken('{"accessToken":"t"}').expiresAt).toBe('1970-01-01T00:00:00.000Z');
  });

  test('fails with 3 when there is no token', () => {
    expect(() => parseAzureToken('Please run az login')).toThrow(
      expect.objectContaining({ exitCode: 3 }),
    );
  });
});

describe('toResourceScope', () => {
  test('leaves out what only a person can ask for', () => {
    expect(toResourceScope('api://x/.default openid offline_access')).toBe('api://x/.default');
  });
});
