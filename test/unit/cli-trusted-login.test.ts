import { describe, expect, test } from 'vitest';
import {
  chooseSecretIssuer,
  parseOwnAudience,
  parseOwnScope,
} from '../../cli/tokens/trusted-login.ts';
import { parseSettings } from '../../cli/settings.ts';
import { exitCodeOf } from '../support/exit-code-of.ts';

const app = '7f3a1c52-0000-4000-8000-0000000000a1';
const machine = { platform: 'linux', home: '/home/ada' } as const;
const settings = parseSettings({}, {}, machine);
const broker = new URL('https://broker.example/');

describe('parseOwnAudience', () => {
  test.each(['api://sallyport', `api://${app}`, app])('takes %s', (audience) => {
    expect(parseOwnAudience(audience)).toBe(audience);
  });

  // A hostile broker would get the user's or the job's rights in Azure.
  test.each([
    'https://management.azure.com',
    'https://management.core.windows.net/',
    'https://graph.microsoft.com',
    'https://vault.azure.net',
    'HTTPS://storage.azure.com',
    '00000003-0000-0000-c000-000000000000',
    '797F4846-BA00-4FD7-BA43-DAC1F8F63013',
    'api://AzureADTokenExchange',
    'api://azureadtokenexchangeusgov',
    'sts.amazonaws.com',
    'api://',
    '',
  ])("refuses '%s'", (audience) => {
    expect(exitCodeOf(() => parseOwnAudience(audience))).toBe(3);
  });
});

describe('parseOwnScope', () => {
  test('takes scopes of the broker alone', () => {
    expect(parseOwnScope('api://sallyport/.default')).toBe('api://sallyport/.default');
    expect(parseOwnScope(`${app}/Session.Use`)).toBe(`${app}/Session.Use`);
  });

  test.each([
    'https://management.azure.com/.default',
    'https://management.core.windows.net//.default',
    'api://sallyport/.default https://graph.microsoft.com/.default',
    'User.Read',
    'api://AzureADTokenExchange/.default',
  ])("refuses '%s'", (scope) => {
    expect(exitCodeOf(() => parseOwnScope(scope))).toBe(3);
  });
});

describe('chooseSecretIssuer', () => {
  test.each([
    'https://broker.example/issuer',
    'http://127.0.0.1:7072',
    'https://login.microsoftonline.com/tenant/v2.0',
    'https://login.microsoftonline.us/tenant/v2.0',
  ])('takes the word of the broker for %s', (issuer) => {
    expect(chooseSecretIssuer(settings, broker, issuer)).toBe(issuer);
  });

  test.each([
    'https://thief.example',
    'https://broker.example:8443',
    'https://login.microsoftonline.com.thief.example',
    'https://login.microsoftonline.com@thief.example',
    'http://login.microsoftonline.com/tenant',
  ])('sends no secret to %s', (issuer) => {
    expect(exitCodeOf(() => chooseSecretIssuer(settings, broker, issuer))).toBe(3);
  });

  test('sends the secret where the user says', () => {
    const own = parseSettings({ SALLYPORT_ISSUER: 'https://own.example' }, {}, machine);

    expect(chooseSecretIssuer(own, broker, 'https://thief.example')).toBe('https://own.example');
    expect(exitCodeOf(() => parseSettings({}, { issuer: 'http://own.example' }, machine))).toBe(2);
  });
});
