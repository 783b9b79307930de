import { describe, expect, test } from 'vitest';
import { findAlias, formatHost } from '../../cli/commands/ssh-config.ts';
import {
  isHostName,
  toConnectWords,
  toSpawnError,
  toSshArguments,
} from '../../cli/commands/ssh.ts';
import type { FoundTarget } from '../../cli/find-target.ts';
import { formatProxyCommand, toGlobalArguments } from '../../cli/proxy-command.ts';
import { parseSettings } from '../../cli/settings.ts';
import { exitCodeOf } from '../support/exit-code-of.ts';

const id = '5a11a000-0000-4000-8000-0000000000f1';
const view = {
  id,
  name: 'vm-one',
  os: 'linux',
  power: 'running',
  services: [{ protocol: 'ssh' as const, port: 22, terms: {} }],
} as const;
const found = { reference: id, view: { ...view, services: [...view.services] } };

describe('formatProxyCommand', () => {
  test.each([
    [['node', 'main.js', '%p'], 'node main.js %p'],
    [['/my programs/node'], "'/my programs/node'"],
    [["it's 100%"], String.raw`'it'\''s 100%%'`],
    [['$(id)', '`id`', '~', ''], "'$(id)' '`id`' '~' ''"],
  ])('quotes %j for a shell', (words, command) => {
    expect(formatProxyCommand(words, 'linux')).toBe(command);
  });

  test('quotes for Windows with double quotes', () => {
    const words = [String.raw`C:\Program Files\node.exe`, 'connect', 'a reason'];

    expect(formatProxyCommand(words, 'win32')).toBe(
      String.raw`"C:\Program Files\node.exe" connect "a reason"`,
    );
  });

  test('keeps a backslash at the end from taking the closing quote', () => {
    const words = [String.raw`--reason=a b\\`, 'next'];

    expect(formatProxyCommand(words, 'win32')).toBe(String.raw`"--reason=a b\\\\" next`);
  });

  test.each(['"', String.raw`a\" & calc`, '100%', '%PATH%', 'a&b', 'a|b', 'a<b', 'a>b', 'a^b'])(
    'refuses %s on Windows, where a program would get something else',
    (word) => {
      expect(exitCodeOf(() => formatProxyCommand([word], 'win32'))).toBe(2);
    },
  );

  // A line of its own in ssh_config would be an option of its own.
  test('refuses a line break', () => {
    expect(() => formatProxyCommand(['a\nLocalCommand x'], 'linux')).toThrow(
      expect.objectContaining({ exitCode: 2 }),
    );
  });
});

describe('toGlobalArguments', () => {
  const machine = { platform: 'linux', home: '/home/ada' } as const;
  const broker = new URL('https://broker.example/');

  test('names the broker, and the rest where it is not the default', () => {
    const plain = parseSettings({}, {}, machine);
    const full = parseSettings({}, { profile: 'grace', ca: '/ca.pem', audience: 'a' }, machine);

    expect(toGlobalArguments(plain, broker)).toEqual(['--broker', 'https://broker.example/']);
    expect(toGlobalArguments(full, broker).slice(2)).toEqual([
      '--profile',
      'grace',
      '--ca',
      '/ca.pem',
      '--audience',
      'a',
    ]);
  });

  // Any user of the machine can read the arguments of a process.
  test('names no token and no secret', () => {
    const env = {
      SALLYPORT_TOKEN: 'secret',
      SALLYPORT_CLIENT_ID: 'ada',
      SALLYPORT_CLIENT_SECRET: 'secret',
    };

    expect(toGlobalArguments(parseSettings(env, {}, machine), broker).join()).not.toContain(
      'secret',
    );
  });
});

describe('toConnectWords', () => {
  test('keeps a text that begins with a dash a text', () => {
    expect(toConnectWords(id, { reason: '--keep', duration: '30m' })).toEqual([
      'connect',
      id,
      '--duration',
      '30m',
      '--reason=--keep',
    ]);
  });
});

describe('toSshArguments', () => {
  test('puts what the user gave behind the host, where options and commands may stand', () => {
    const rest = ['-v', 'uptime'];

    const args = toSshArguments({ found, user: 'ada', proxyCommand: 'p', rest });

    const line = `-o ProxyCommand=p -o HostKeyAlias=${id} -o ConnectTimeout=0 -l ada vm-one -v uptime`;
    expect(args).toEqual(line.split(' '));
  });

  test('names the host by its id when its name could be an option', () => {
    const odd = { ...found, view: { ...found.view, name: '-oProxyCommand=x' } };

    expect(toSshArguments({ found: odd, user: undefined, proxyCommand: 'p', rest: [] })).toContain(
      id,
    );
    expect(isHostName('-x')).toBe(false);
    expect(isHostName('a b')).toBe(false);
    expect(isHostName('*')).toBe(false);
  });
});

describe('formatHost', () => {
  test('names the target by name and id, with its key under the id', () => {
    expect(formatHost(found, 'vm-one.sallyport', 'sallyport connect')).toEqual([
      `Host vm-one.sallyport ${id}`,
      `  HostKeyAlias ${id}`,
      '  ProxyCommand sallyport connect',
      '',
    ]);
  });

  test('names the port where it is not the usual one', () => {
    const services = [{ protocol: 'ssh' as const, port: 2222, terms: {} }];
    const moved = { ...found, view: { ...found.view, services } };

    expect(formatHost(moved, undefined, 'p')).toContain('  Port 2222');
  });
});

// Whoever names a machine must not get what is meant for another host.
describe('findAlias', () => {
  const named = (name: string, reference: string = id): FoundTarget => ({
    reference,
    view: { ...found.view, id: reference, name },
  });
  const other = '5a11a000-0000-4000-8000-0000000000f2';

  test('keeps the name apart from every other host of the user', () => {
    expect(findAlias(found, [found])).toBe('vm-one.sallyport');
  });

  test.each(['github.com', 'a.sallyport', '*', '-oProxyCommand=x', 'a b'])(
    'gives %s no host name',
    (name) => {
      expect(findAlias(named(name), [named(name)])).toBeUndefined();
    },
  );

  test('gives a name that several have to none of them, in whatever case', () => {
    const both = [named('vm-one'), named('VM-One', other)];

    expect(both.map((target) => findAlias(target, both))).toEqual([undefined, undefined]);
  });

  test('takes a target that was asked for twice for one', () => {
    expect(findAlias(found, [found, found])).toBe('vm-one.sallyport');
  });
});

describe('toSpawnError', () => {
  test('advises to install OpenSSH only where it is missing', () => {
    const [missing, forbidden] = ['ENOENT', 'EACCES'].map(
      (code) => toSpawnError(Object.assign(new Error('spawn ssh'), { code })).message,
    );

    expect(missing).toContain('Install OpenSSH');
    expect(forbidden).not.toContain('Install');
    expect(forbidden).toContain('EACCES');
  });
});
