import { describe, expect, test } from 'vitest';
import { UsageError, parseStartOptions } from '../../local/start-options.ts';

describe('parseStartOptions', () => {
  test.each([
    ['a word', ['fast']],
    ['a port of zero', ['--port', '0']],
    ['a port with a letter', ['--gateway-port', '80x']],
    ['one port for two', ['--port', '7071', '--gateway-port', '7071']],
    ['a folder without a name', ['--data', '']],
    ['an option without its value', ['--data']],
  ])('refuses %s', (_, args) => {
    expect(() => parseStartOptions(args, {})).toThrow(UsageError);
  });

  // `npm start --once` would otherwise run on for ever.
  test('refuses options that npm has taken for its own', () => {
    expect(() => parseStartOptions([], { npm_config_once: 'true' })).toThrow(/two dashes/);
  });
});
