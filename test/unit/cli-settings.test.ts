import { describe, expect, test } from 'vitest';
import { findBroker } from '../../cli/context.ts';
import { parseSafeUrl } from '../../cli/safe-url.ts';
import { parseSettings } from '../../cli/settings.ts';
import type { Machine } from '../../cli/settings.ts';
import { exitCodeOf } from '../support/exit-code-of.ts';

const machine: Machine = { platform: 'linux', home: '/home/ada' };

describe('parseSettings', () => {
  test('lets an option win over the environment', () => {
    const env = { SALLYPORT_BROKER: 'https://env.example', SALLYPORT_PROFILE: 'env' };
    const options = { broker: 'https://option.example', profile: 'option' };

    const settings = parseSettings(env, options, machine);

    expect(settings.broker?.href).toBe('https://option.example/');
    expect(settings.profile).toBe('option');
  });

  test('takes an empty variable for an absent one', () => {
    const settings = parseSettings({ SALLYPORT_TOKEN: '', SALLYPORT_BROKER: '' }, {}, machine);

    expect(settings).toEqual({
      json: false,
      profile: 'default',
      folder: '/home/ada/.config/sallyport',
    });
  });

  test('takes a token from a file that ends with a line break', () => {
    expect(parseSettings({ SALLYPORT_TOKEN: 'token\n' }, {}, machine).token).toBe('token');
    expect(parseSettings({ SALLYPORT_TOKEN: ' \n' }, {}, machine).token).toBeUndefined();
  });

  test.each([
    ['https://broker.example/base', 'https://broker.example/base/'],
    ['http://127.0.0.1:7071', 'http://127.0.0.1:7071/'],
    ['http://[::1]:7071/', 'http://[::1]:7071/'],
    ['http://localhost:7071', 'http://localhost:7071/'],
  ])('takes the broker %s', (broker, href) => {
    expect(parseSettings({}, { broker }, machine).broker?.href).toBe(href);
  });

  // A token would cross the network in the clear.
  test.each([
    'http://broker.example',
    'http://127.0.0.1.example',
    'http://localhost.example',
    'ftp://127.0.0.1',
    'https://ada:secret@broker.example',
    'https://broker.example/?a=b',
    'broker.example',
  ])('refuses the broker %s', (broker) => {
    expect(exitCodeOf(() => parseSettings({}, { broker }, machine))).toBe(2);
  });

  test.each(['../escape', 'a/b', '', '.hidden', 'a\nb'])("refuses the profile '%s'", (profile) => {
    expect(exitCodeOf(() => parseSettings({}, { profile }, machine))).toBe(2);
  });

  test.each([
    ['linux', { XDG_CONFIG_HOME: '/xdg' }, '/xdg/sallyport'],
    ['darwin', {}, '/home/ada/Library/Application Support/sallyport'],
    ['linux', { XDG_CONFIG_HOME: '/xdg', SALLYPORT_CONFIG_DIR: '/own' }, '/own'],
  ] as const)('keeps its files on %s with %j in %s', (platform, env, folder) => {
    expect(parseSettings(env, {}, { ...machine, platform }).folder).toBe(folder);
  });

  test('takes credentials only as a pair', () => {
    const half = parseSettings({ SALLYPORT_CLIENT_ID: 'ada' }, {}, machine);
    const whole = { SALLYPORT_CLIENT_ID: 'ada', SALLYPORT_CLIENT_SECRET: 's' };

    expect(half.client).toBeUndefined();
    expect(parseSettings(whole, {}, machine).client).toEqual({ id: 'ada', secret: 's' });
  });
});

describe('findBroker', () => {
  const settings = parseSettings({}, {}, machine);

  test('falls back to the broker of the login', () => {
    const profile = {
      version: 1,
      kind: 'azure-cli',
      broker: 'https://stored.example/',
      accessToken: 't',
      expiresAt: '2025-11-24T12:00:00.000Z',
      scope: '',
    } as const;

    expect(findBroker(settings, profile).href).toBe('https://stored.example/');
  });

  test('says how to name one when there is none', () => {
    expect(exitCodeOf(() => findBroker(settings, undefined))).toBe(2);
  });
});

describe('parseSafeUrl', () => {
  test('takes a WebSocket in the clear to this machine alone', () => {
    expect(parseSafeUrl('wss://gateway.example/connect', 'wss:')).toBeDefined();
    expect(parseSafeUrl('ws://127.0.0.1:1/connect', 'wss:')).toBeDefined();
    expect(parseSafeUrl('ws://gateway.example/connect', 'wss:')).toBeUndefined();
    expect(parseSafeUrl('https://gateway.example/connect', 'wss:')).toBeUndefined();
  });
});
