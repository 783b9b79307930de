import { HttpRequest } from '@azure/functions';
import { describe, expect, test } from 'vitest';
import { handler } from '../../functions/session.ts';
import { call } from '../support/call.ts';
import { collectLogLines } from '../support/log-lines.ts';
import { sessionId, ssh } from '../support/sessions.ts';
import { testBroker } from '../support/test-broker.ts';

const params = { id: sessionId };
collectLogLines();

describe('PUT /api/sessions/{id} with a body that is wrong', () => {
  // The length that a client states is its word; what counts is what it sent.
  test.each([
    ['is not stated', {}],
    ['is stated too small', { 'content-length': '10' }],
    ['is no number', { 'content-length': 'x' }],
  ])('413 for a body that is too large when its length %s', async (_name, length) => {
    const request = new HttpRequest({
      method: 'PUT',
      url: `https://broker.test/api/sessions/${sessionId}`,
      params,
      headers: { authorization: 'Bearer ada', 'content-type': 'application/json', ...length },
      body: { string: JSON.stringify({ ...ssh, reason: 'x'.repeat(70_000) }) },
    });

    expect(await handler(request, undefined, testBroker())).toMatchObject({ status: 413 });
  });

  test('413 for a body that is stated too large, whatever was sent', async () => {
    const headers = { 'content-length': '65537' };

    const answer = await call(testBroker(), 'PUT', '/api/sessions/{id}', {
      token: 'ada',
      params,
      headers,
      body: ssh,
    });

    expect(answer.status).toBe(413);
  });

  test('400 with twenty faults at most', async () => {
    const connections = Array.from({ length: 500 }, () => ({}));

    const answer = await call(testBroker(), 'POST', '/api/gateway/leases', {
      token: 'gateway',
      body: { connections },
    });

    expect(answer.status).toBe(400);
    expect(answer.body).toHaveProperty('faults.length', 20);
  });
});
