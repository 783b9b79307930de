import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../gateway/config.ts';

const complete = {
  SALLYPORT_BROKER_URL: 'https://broker.example/base',
  SALLYPORT_GATEWAY_ID: 'pool-1',
  SALLYPORT_LISTEN: '0.0.0.0:8443',
  SALLYPORT_TLS_CERT: '/tls/cert.pem',
  SALLYPORT_TLS_KEY: '/tls/key.pem',
  SALLYPORT_ROOT_KEYS: '/keys/roots.json',
  SALLYPORT_TOKEN_URL: 'https://issuer.example/token',
  SALLYPORT_CLIENT_ID: 'gateway',
  SALLYPORT_CLIENT_SECRET_FILE: '/secrets/gateway',
  SALLYPORT_TOKEN_SCOPE: 'api://broker/.default',
};

function faultsOf(changes: Readonly<Record<string, string | undefined>>): string {
  try {
    parseConfig({ ...complete, ...changes });
    return '';
  } catch (error) {
    return error instanceof Error ? error.message : '';
  }
}

describe('parseConfig', () => {
  test('gives rich types, and defaults for what is not set', () => {
    expect(parseConfig(complete)).toEqual({
      broker: new URL('https://broker.example/base/'),
      issuer: 'https://broker.example',
      gateway: 'pool-1',
      listen: { host: '0.0.0.0', port: 8443 },
      tls: { certificateFile: '/tls/cert.pem', keyFile: '/tls/key.pem' },
      rootKeysFile: '/keys/roots.json',
      allowedNetworks: [],
      allowedOrigins: [],
      maxConnections: 2000,
      maxConnectionsPerCaller: 200,
      drainSeconds: 30,
      token: {
        kind: 'credentials',
        url: new URL('https://issuer.example/token'),
        clientId: 'gateway',
        clientSecretFile: '/secrets/gateway',
        scope: 'api://broker/.default',
      },
    });
  });

  test('reads every optional setting', () => {
    const config = parseConfig({
      ...complete,
      SALLYPORT_BROKER_ISSUER: 'https://public.example/',
      SALLYPORT_LISTEN: '[::1]:0',
      SALLYPORT_ALLOWED_NETWORKS: '127.0.0.0/8, ::1/128',
      SALLYPORT_ALLOWED_ORIGINS: 'https://portal.example,https://other.example:8443',
      SALLYPORT_MAX_CONNECTIONS: '10',
      SALLYPORT_MAX_CONNECTIONS_PER_CALLER: '2',
      SALLYPORT_DRAIN_SECONDS: '0',
    });

    expect(config).toMatchObject({
      issuer: 'https://public.example',
      listen: { host: '::1', port: 0 },
      allowedNetworks: ['127.0.0.0/8', '::1/128'],
      allowedOrigins: ['https://portal.example', 'https://other.example:8443'],
      maxConnections: 10,
      maxConnectionsPerCaller: 2,
      drainSeconds: 0,
    });
  });

  test('takes the managed identity of the platform when a token resource is named', () => {
    const config = parseConfig({
      ...complete,
      SALLYPORT_TOKEN_RESOURCE: 'api://broker',
      IDENTITY_ENDPOINT: 'http://169.254.129.2:4141/token',
      IDENTITY_HEADER: 'secret-header',
    });

    expect(config.token).toEqual({
      kind: 'managed',
      endpoint: new URL('http://169.254.129.2:4141/token'),
      header: 'secret-header',
      resource: 'api://broker',
    });
  });

  test('names every missing setting at once', () => {
    const names = Object.keys(complete);
    const faults = faultsOf(Object.fromEntries(names.map((name) => [name, ''])));

    for (const name of names) expect(faults).toContain(`${name} must be `);
  });

  test.each([
    ['SALLYPORT_BROKER_URL', 'http://broker.example'],
    ['SALLYPORT_BROKER_URL', 'https://broker.example/?a=b'],
    ['SALLYPORT_BROKER_URL', 'ftp://broker.example'],
    ['SALLYPORT_TOKEN_URL', 'http://127.0.0.1.evil.example/token'],
    ['SALLYPORT_GATEWAY_ID', 'two words'],
    ['SALLYPORT_LISTEN', 'gateway.example:8443'],
    ['SALLYPORT_LISTEN', '0.0.0.0:65536'],
    ['SALLYPORT_LISTEN', '0.0.0.0'],
    ['SALLYPORT_ALLOWED_NETWORKS', '10.0.0.0'],
    ['SALLYPORT_ALLOWED_ORIGINS', '*'],
    ['SALLYPORT_ALLOWED_ORIGINS', 'https://portal.example/'],
    ['SALLYPORT_MAX_CONNECTIONS', '9999999'],
    ['SALLYPORT_MAX_CONNECTIONS', '1e3'],
    ['SALLYPORT_DRAIN_SECONDS', '-1'],
  ])('refuses %s=%s by its name and rule, and does not repeat the value', (name, value) => {
    const faults = faultsOf({ [name]: value });

    expect(faults).toMatch(new RegExp(`^The gateway cannot start:\n${name} must be .+\\.$`));
    expect(faults).not.toContain(value);
  });

  test('lets http through to this machine only', () => {
    for (const url of ['http://127.0.0.1:7071', 'http://[::1]:7071', 'http://localhost:7071'])
      expect(faultsOf({ SALLYPORT_BROKER_URL: url })).toBe('');
  });
});
