import { describe, expect, test } from 'vitest';
import { call } from '../support/call.ts';
import { chooseRuns } from '../support/effort.ts';
import { collectLogLines } from '../support/log-lines.ts';
import { memoryTable } from '../support/memory-table.ts';
import { ssh } from '../support/sessions.ts';
import {
  memoryAudit,
  testBroker,
  testBudget,
  testPolicy,
  testTargets,
} from '../support/test-broker.ts';
import {
  createTestIdentify,
  entraIssuers,
  entraUrl,
  TestIssuer,
} from '../support/token-factory.ts';

collectLogLines();

describe('a flood without a valid token', () => {
  // Threat 28, for 10,000 requests where a change is shown.
  test('causes no call to tables, targets, policy or audit, and one look at the issuer', async () => {
    const calls: string[] = [];
    const count = <T>(name: string, answer: T): T => {
      calls.push(name);
      return answer;
    };
    const [audit, targets, policy] = [memoryAudit(), testTargets(), testPolicy()];
    const issuer = new TestIssuer(entraUrl, []);
    const state = memoryTable((operation) => count(operation, undefined));
    const broker = testBroker({
      state,
      audit,
      budget: testBudget({ table: state, audit }),
      targets: { ...targets, find: async (...of) => count('targets.find', targets.find(...of)) },
      policy: { ...policy, decide: (input) => count('policy.decide', policy.decide(input)) },
      identify: createTestIdentify(entraIssuers, issuer.fetchJson),
    });
    const tokens = [undefined, 'garbage', 'a.b.c', toForged(entraUrl), toForged('https://evil')];

    const statuses = new Set<number>();
    for (let i = 0; i < chooseRuns({ short: 500, full: 10_000, long: 200_000 }); i += 1) {
      const token = tokens[i % tokens.length];
      const sent = { body: ssh, ...(token === undefined ? {} : { token }) };
      statuses.add((await call(broker, 'POST', '/api/sessions', sent)).status);
    }

    expect([...statuses]).toEqual([401]);
    expect(calls).toEqual([]);
    expect(audit.entries).toEqual([]);
    expect(issuer.reads).toBeLessThanOrEqual(1);
  });
});

/** A token that claims to be of an issuer, with a key that nobody knows. */
function toForged(iss: string): string {
  const toPart = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${toPart({ alg: 'RS256', typ: 'JWT', kid: 'none' })}.${toPart({ iss })}.c2ln`;
}
