import { describe, expect, test } from 'vitest';
import { decisionInput, loadPolicyText } from '../support/policies.ts';

describe('the best offer', () => {
  test.each([
    ['the longest', '@max_duration("1h")', '@max_duration("2h") @max_connections("1")'],
    ['no limit of time over a day', '@max_duration("24h")', '@max_connections("1")'],
    ['most connections among the longest', '@max_connections("9")', '@max_connections("10")'],
    ['no limit of connections', '@max_connections("1000")', '@max_idle("1s")'],
    ['the longest idle time last', '@max_idle("59m")', '@max_idle("1h")'],
  ])('takes the offer that allows %s', (_rule, worse, better) => {
    const toText = (id: string, terms: string): string =>
      `@id("${id}") ${terms} permit (principal, action, resource);`;

    // The worse one comes first by id, so only its terms can put it second.
    expect(
      loadPolicyText(toText('a', worse) + toText('b', better)).decide(decisionInput()),
    ).toMatchObject({ outcome: 'allow', policies: ['b', 'a'] });
  });

  const permit = (id: string, terms: string): string =>
    `@id("${id}") ${terms} permit (principal, action, resource);`;

  test.each([
    ['needs nothing', '@max_duration("8h") @require_reason("*")', '@max_duration("1m")'],
    ['needs one thing', '@require_reason("*") @require_change("*")', '@require_approval("ops")'],
    [
      'others can meet, so that the caller may wait',
      '@max_duration("1m") @require_reason("*")',
      '@max_duration("8h") @require_approval("ops")',
    ],
    [
      'allows more, of those that need the same',
      '@max_duration("1m") @require_approval("ops")',
      '@max_duration("2m") @require_approval("ops")',
    ],
    ['allows more bytes', '@max_bytes("1MiB")', '@max_bytes("1GiB")'],
    ['allows any network', '@source_networks("10.0.0.0/8")', ''],
  ])('takes the offer that %s', (_rule, worse, better) => {
    const policy = loadPolicyText(permit('a', worse) + permit('b', better));

    expect(policy.decide(decisionInput())).toMatchObject({ policies: ['b', 'a'] });
  });

  test('says what the best offer needs, and what its terms will be', () => {
    const terms = '@require_approval("2 of ops") @require_change("CHG*") @max_duration("1h")';

    expect(loadPolicyText(permit('prod', terms)).decide(decisionInput())).toMatchObject({
      outcome: 'needs',
      policies: ['prod'],
      terms: { maxDurationSeconds: 3600, approval: { group: 'ops', count: 2 } },
      needs: [
        { kind: 'approval', group: 'ops', count: 2 },
        { kind: 'change', pattern: 'CHG*' },
      ],
    });
  });

  test('considers the offers of the profile that is asked for, and no other', () => {
    const policy = loadPolicyText(
      permit('free', '') + permit('strict', '@profile("strict") @max_duration("5m")'),
    );
    const decide = (profile: string) => policy.decide(decisionInput({ context: { profile } }));

    expect(decide('strict')).toMatchObject({
      outcome: 'allow',
      policies: ['strict'],
      terms: { profile: 'strict', maxDurationSeconds: 300 },
    });
    expect(decide('other')).toMatchObject({ outcome: 'deny', policies: [] });
  });
});
