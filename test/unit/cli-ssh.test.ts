import { describe, expect, test } from 'vitest';
import { formatHost } from '../../cli/commands/ssh-config.ts';
import { isHostName, toConnectWords, toSshArguments } from '../../cli/commands/ssh.ts';
import { formatProxyCommand, toGlobalArguments } from '../../cli/proxy-command.ts';
import { parseSettings } from '../../cli/settings.ts';

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
    const words = [String.raw`C:\Program Files\node.exe`, 'connect', '100%'];

    expect(formatProxyCommand(words, 'win32')).toBe(
      String.raw`"C:\Program Files\node.exe" connect "100%%"`,
    );
  });

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

    const line = `-o ProxyCommand=p -o HostKeyAlias=${id} -l ada vm-one -v uptime`;
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
    expect(formatHost(found, 'sallyport connect')).toEqual([
      `Host vm-one ${id}`,
      `  HostKeyAlias ${id}`,
      '  ProxyCommand sallyport connect',
      '',
    ]);
  });

  test('names the port where it is not the usual one', () => {
    const services = [{ protocol: 'ssh' as const, port: 2222, terms: {} }];
    const moved = { ...found, view: { ...found.view, services } };

    expect(formatHost(moved, 'p')).toContain('  Port 2222');
  });
});
