import { describe, expect, test } from 'vitest';
import { matchRoute, parseRoute } from '../../local/route.ts';

describe('matchRoute', () => {
  test.each([
    ['api/sessions/{id}', '/api/sessions/7', { id: '7' }],
    ['api/sessions/{id}', '/API/Sessions/AbC', { id: 'AbC' }],
    ['api/sessions/{id}', '/api/sessions/a%20b', { id: 'a b' }],
    ['api/sessions/{id}', '/api/sessions/a%2Fb', { id: 'a%2Fb' }],
    ['api/sessions/{id}', '/api/sessions/%zz', { id: '%zz' }],
    ['api/sessions/{id}/extend', '/api/sessions/7/extend/', { id: '7' }],
    ['.well-known/jwks.json', '/.well-known/jwks.json', {}],
  ])('matches %s with %s', (route, path, params) => {
    expect(matchRoute(parseRoute(route), path)).toEqual(params);
  });

  test.each([
    ['api/sessions/{id}', '/api/sessions'],
    ['api/sessions/{id}', '/api/sessions/'],
    ['api/sessions/{id}', '/api/sessions/7/extend'],
    ['api/sessions/{id}', '//api/sessions/7'],
    ['api/sessions', '/api/session'],
  ])('does not match %s with %s', (route, path) => {
    expect(matchRoute(parseRoute(route), path)).toBeUndefined();
  });
});

describe('parseRoute', () => {
  test.each(['api/{id:guid}', 'api/{*rest}', 'api/{id?}', 'api/a{id}'])(
    'refuses %s, which it could only match wrongly',
    (route) => {
      expect(() => parseRoute(route)).toThrow('does not know');
    },
  );
});
