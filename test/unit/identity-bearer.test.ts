import { describe, expect, test } from 'vitest';
import { readBearer } from '../../lib/identity.ts';

describe('readBearer', () => {
  test('returns the token', () => {
    expect(readBearer(new Headers({ authorization: 'Bearer abc.def.ghi' }))).toBe('abc.def.ghi');
  });

  test('takes the scheme in any case (RFC 9110, section 11.1)', () => {
    expect(readBearer(new Headers({ authorization: 'bearer abc' }))).toBe('abc');
  });

  test('asks for a token when there is none', () => {
    expect(() => readBearer(new Headers())).toThrow(
      expect.objectContaining({ code: 'token-missing' }),
    );
  });

  test.each([
    ['another scheme', 'Basic YTpi'],
    ['no scheme', 'abc'],
    ['no token', 'Bearer'],
    ['an empty header', ''],
    ['two tokens', 'Bearer abc, Bearer def'],
    ['a second value', 'Bearer abc def'],
    ['two schemes', 'Bearer Bearer abc'],
    ['quotes', 'Bearer "abc"'],
    ['a colon', 'Bearer a:b'],
  ])('refuses %s', (_what, authorization) => {
    expect(() => readBearer(new Headers({ authorization }))).toThrow(
      expect.objectContaining({ code: 'token-invalid' }),
    );
  });

  test('refuses a header that is repeated', () => {
    const headers = new Headers();
    headers.append('authorization', 'Bearer abc');
    headers.append('authorization', 'Bearer def');

    expect(() => readBearer(headers)).toThrow(expect.objectContaining({ code: 'token-invalid' }));
  });

  // With platform authentication off, anybody can send these.
  test('does not believe the identity headers of the platform', () => {
    const headers = new Headers({
      'x-ms-client-principal': 'eyJhdXRoX3R5cCI6ImFhZCJ9',
      'x-ms-client-principal-id': 'a0000000-0000-4000-8000-000000000001',
      'x-ms-token-aad-access-token': 'abc.def.ghi',
      'x-forwarded-authorization': 'Bearer abc.def.ghi',
    });

    expect(() => readBearer(headers)).toThrow(expect.objectContaining({ code: 'token-missing' }));
  });
});
