import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseDuration } from '../../cli/argument.ts';
import { pickRequest } from '../../cli/decide-request.ts';
import { describeRequest, describeTerms, formatRequests } from '../../cli/describe-request.ts';
import { formatDuration, quote } from '../../cli/format.ts';
import { createTerminal } from '../../cli/terminal.ts';
import type { PendingView } from '../../lib/approval-view.ts';
import { exitCodeOf } from '../support/exit-code-of.ts';

function pendingRequest(changes: Partial<PendingView> = {}): PendingView {
  return {
    id: 'abc11111-0000-4000-8000-000000000001',
    kind: 'session',
    etag: '"digest"',
    caller: { id: 'tenant.ada', name: 'Ada Operator' },
    target: { id: '5a11a000-0000-4000-8000-0000000000f1', name: 'vm-one' },
    protocol: 'ssh',
    port: 22,
    durationSeconds: 5400,
    reason: 'the disk is full',
    requestedAt: '2025-11-24T12:00:00Z',
    expiresAt: '2025-11-24T20:00:00Z',
    terms: { maxConnections: 4, sourceNetworks: ['10.0.0.0/8'] },
    needs: [{ group: 'g1', count: 2 }],
    votes: [],
    ...changes,
  };
}

const text = fc.string({ unit: 'binary', maxLength: 500 });

describe('describeRequest', () => {
  test('tells all that is decided about', () => {
    const votes = [
      {
        by: { id: 'tenant.eve', name: 'Eve' },
        decision: 'approve' as const,
        at: '2025-11-24T12:01:00Z',
      },
    ];

    expect(describeRequest(pendingRequest({ change: 'CHG-7', votes }))).toEqual([
      'Request abc11111-0000-4000-8000-000000000001 for a session',
      '  caller  "Ada Operator" (tenant.ada)',
      '  target  "vm-one" (5a11a000-0000-4000-8000-0000000000f1)',
      '  service ssh:22',
      '  for     1h30m',
      '  reason  "the disk is full"',
      '  change  "CHG-7"',
      '  terms   maxConnections 4',
      '          sourceNetworks ["10.0.0.0/8"]',
      '  needs   approval by 2 of group g1',
      '  votes   Approved by "Eve" (tenant.eve)',
      '  asked   2025-11-24T12:00:00Z',
      '  until   2025-11-24T20:00:00Z',
    ]);
  });

  // Whoever asks must not be able to show an approver another target than their own.
  test('lets no text of others begin a line, fill one up, or leave its quotes', () => {
    fc.assert(
      fc.property(text, text, (name, reason) => {
        const printed: string[] = [];
        const sink = { write: (line: string) => printed.push(line) };
        const terminal = createTerminal(
          () => sink,
          () => sink,
        );
        const request = pendingRequest({ caller: { id: 'tenant.ada', name }, reason });
        describeRequest(request).forEach(terminal.print);
        expect(printed).toHaveLength(11);
        expect(printed.join('')).toMatch(/^(?:Request [^\n]*|  [^\n]*)\n(?:  [^\n]*\n){10}$/);
        expect(printed[1]).toMatch(/^  caller  "[^"]*" \(tenant\.ada\)\n$/);
        expect(printed[5]).toMatch(/^  reason  "[^"]*"\n$/);
        expect(printed[5]?.slice(10)).not.toContain('  ');
      }),
    );
  });
});

describe('formatRequests', () => {
  test('puts the reason last and in quotes', () => {
    const [heading, row] = formatRequests([pendingRequest({ reason: 'a"  b\nc' })]);

    expect(heading).toMatch(/^ID .* CALLER +REASON$/);
    expect(row).toMatch(/ 1h30m .* "Ada Operator"  "a' b c"$/);
  });
});

describe('describeTerms', () => {
  test('writes lists and groups as the API does', () => {
    expect(describeTerms({ approval: { group: 'g1', count: 2 }, acr: 'c1' })).toEqual([
      'approval {"group":"g1","count":2}',
      'acr c1',
    ]);
  });
});

describe('quote', () => {
  test('is one word between quotes, whatever the text is', () => {
    fc.assert(
      fc.property(text, (given) => {
        expect(quote(given)).toMatch(/^"[^"\n]*"$/);
        expect(quote(given)).not.toMatch(/\s\s/);
      }),
    );
    expect(quote('a\u200B \u2800\u3164\t b\u202E')).toBe('"a b "');
  });
});

describe('formatDuration', () => {
  test('is what parseDuration reads', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 86_400 }), (seconds) => {
        expect(parseDuration(formatDuration(seconds))).toBe(seconds);
      }),
    );
    expect([90, 1800, 5400, 0].map(formatDuration)).toEqual(['1m30s', '30m', '1h30m', '0s']);
  });
});

describe('pickRequest', () => {
  const one = pendingRequest();
  const two = pendingRequest({ id: 'abc22222-0000-4000-8000-000000000002' });

  test('finds a request by the beginning of its id, in any case', () => {
    expect(pickRequest([one, two], 'ABC1')).toBe(one);
    expect(pickRequest([one, two], two.id)).toBe(two);
  });

  test('takes no beginning that is that of several, or of none', () => {
    expect(exitCodeOf(() => pickRequest([one, two], 'abc'))).toBe(2);
    expect(exitCodeOf(() => pickRequest([one, two], 'f'))).toBe(5);
    expect(exitCodeOf(() => pickRequest([one], ''))).toBe(5);
  });
});
