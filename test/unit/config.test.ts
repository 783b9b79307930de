import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../lib/config.ts';

const tenant = '9b7b0000-0000-4000-8000-0000000000bb';

const complete = {
  SALLYPORT_URL: 'https://broker.example',
  SALLYPORT_ISSUERS: JSON.stringify([{ kind: 'entra', tenant, audience: ['api://sallyport'] }]),
  SALLYPORT_GATEWAY: JSON.stringify({ id: 'hub', url: 'wss://gw.example', caller: `${tenant}.x` }),
  SALLYPORT_TABLES_URL: 'https://account.table.core.windows.net',
  SALLYPORT_ROOT_KEY: 'https://vault.vault.azure.net/keys/root/1',
  SALLYPORT_SUBSCRIPTIONS: '11111111-1111-4111-8111-11111111111A',
};

describe('parseConfig', () => {
  test('fills in what need not be given', () => {
    const config = parseConfig(complete);

    expect(config.limits).toEqual({
      sessionsPerCaller: 10,
      requestsPerCallerMinute: 120,
      requestsPerTargetMinute: 600,
      startsPerCallerDay: 20,
      startsPerTargetDay: 10,
      deallocateAfterMinutes: 0,
      maxSessionSeconds: 28_800,
      maxConnections: 256,
      leaseSeconds: 15,
      graceSeconds: 120,
    });
    expect(config.proxyHops).toBe(0);
    expect(config.subscriptions).toEqual(['11111111-1111-4111-8111-11111111111a']);
    expect(config.mayDial('10.0.0.4')).toBe(true);
    expect(config.mayDial('127.0.0.1')).toBe(false);
  });

  test('names every setting that is missing in one error', () => {
    const names = Object.keys(complete).filter((name) => name !== 'SALLYPORT_SUBSCRIPTIONS');

    for (const name of names) expect(() => parseConfig({})).toThrow(`${name}: is missing`);
  });

  test('takes an empty setting for one that is missing', () => {
    expect(() => parseConfig({ ...complete, SALLYPORT_URL: '' })).toThrow(
      'SALLYPORT_URL: is missing',
    );
  });

  test('asks for subscriptions or an inventory', () => {
    const { SALLYPORT_SUBSCRIPTIONS: _none, ...rest } = complete;

    expect(() => parseConfig(rest)).toThrow('SALLYPORT_SUBSCRIPTIONS or SALLYPORT_INVENTORY');
    expect(parseConfig({ ...rest, SALLYPORT_INVENTORY: 'targets.json' }).inventory).toBe(
      'targets.json',
    );
  });

  test('takes policies from a folder or from a container, and not from both', () => {
    const SALLYPORT_POLICIES_URL = 'https://account.blob.core.windows.net/policies';

    expect(parseConfig({ ...complete, SALLYPORT_POLICIES_URL }).policiesUrl?.href).toBe(
      SALLYPORT_POLICIES_URL,
    );
    expect(() =>
      parseConfig({ ...complete, SALLYPORT_POLICIES_URL, SALLYPORT_POLICIES: 'policies' }),
    ).toThrow('SALLYPORT_POLICIES or SALLYPORT_POLICIES_URL: give one of them');
  });

  test.each([
    ['SALLYPORT_URL', 'http://broker.example', 'https:'],
    ['SALLYPORT_URL', 'broker', 'must be a URL'],
    ['SALLYPORT_ISSUERS', '{', 'must be JSON'],
    ['SALLYPORT_ISSUERS', '[]', ''],
    ['SALLYPORT_GATEWAY', '{"id":"HUB","url":"wss://g","caller":"x"}', 'lower-case'],
    ['SALLYPORT_GATEWAY', '{"id":"hub","url":"https://g","caller":"x"}', 'wss:'],
    ['SALLYPORT_TABLES_URL', 'http://account.table.core.windows.net', 'https:'],
    ['SALLYPORT_ROOT_KEY', 'http://vault/keys/root/1', 'Key Vault'],
    ['SALLYPORT_SUBSCRIPTIONS', 'mine', 'subscription ids'],
    ['SALLYPORT_POLICIES_URL', 'http://account.blob.core.windows.net/policies', 'https:'],
    ['SALLYPORT_POLICIES_URL', 'https://account.blob.core.windows.net/', 'of a container'],
    ['SALLYPORT_POLICIES_URL', 'https://account.blob.core.windows.net/p?sig=x', 'a query'],
    ['SALLYPORT_ALLOWED_NETWORKS', 'everything', 'everything'],
    ['SALLYPORT_LEASE_SECONDS', '0', 'from 1 to 60'],
    ['SALLYPORT_LEASE_SECONDS', '1.5', 'whole number'],
    ['SALLYPORT_GRACE_SECONDS', '-1', 'whole number'],
  ])('refuses %s=%s, by name and rule', (name, value, rule) => {
    const parse = () => parseConfig({ ...complete, [name]: value });

    expect(parse).toThrow(name);
    expect(parse).toThrow(rule);
  });
});
