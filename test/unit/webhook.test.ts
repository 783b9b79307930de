import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../lib/config.ts';
import { noticeTypes } from '../../lib/notice.ts';
import { webhooksShape } from '../../lib/webhook.ts';

const toSecret = (bytes: readonly number[]) => `whsec_${Buffer.from(bytes).toString('base64')}`;
const count = (length: number, from = 0) => Array.from({ length }, (_, i) => (from + i) % 256);

const secret = toSecret(count(32));
const hook = { name: 'chat', url: 'https://chat.example/hook', secrets: [secret] };

function parse(changes: Readonly<Record<string, unknown>>) {
  return webhooksShape.safeParse([{ ...hook, ...changes }]);
}

describe('the setting of the webhooks', () => {
  test('asks for every type of notice when none is named', () => {
    const [webhook] = webhooksShape.parse([hook]);

    expect(webhook).toMatchObject({ name: 'chat', types: noticeTypes });
    expect(webhook?.url.href).toBe('https://chat.example/hook');
  });

  test.each([
    ['24 bytes', toSecret(count(24))],
    ['64 bytes', toSecret(count(64))],
  ])('takes a secret of %s', (_what, given) => {
    expect(parse({ secrets: [given] }).success).toBe(true);
  });

  test.each([
    ['23 bytes', toSecret(count(23))],
    ['65 bytes', toSecret(count(65))],
    ['no prefix', secret.slice(6)],
    ['no padding', toSecret(count(25)).replace(/=+$/, '')],
    ['another alphabet', `whsec_${Buffer.from(count(32, 200)).toString('base64url')}-_`],
    ['a space at its end', `${secret} `],
    ['one byte, often', toSecret(count(32).map(() => 7))],
    ['a word, often', `whsec_${Buffer.from('change-me-'.repeat(4)).toString('base64')}`],
    ['the vector of the specification', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'],
    ['the example of every documentation', 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD'],
    ['nothing', ''],
  ])('refuses a secret of %s', (_what, given) => {
    expect(parse({ secrets: [given] }).success).toBe(false);
  });

  test.each([
    'http://chat.example/hook',
    'http://127.0.0.1.chat.example/hook',
    'ftp://chat.example/hook',
    'https://user:password@chat.example/hook',
    'https://user@chat.example/hook',
    '/hook',
  ])('refuses to send to %s', (url) => {
    expect(parse({ url }).success).toBe(false);
  });

  test.each(['http://127.0.0.1:8080/hook', 'http://localhost/hook', 'http://[::1]/hook'])(
    'sends to %s, which does not leave the machine',
    (url) => {
      expect(parse({ url }).success).toBe(true);
    },
  );

  test.each([
    ['a type that there is not', { types: ['sallyport.session.renamed'] }],
    ['no type', { types: [] }],
    ['three secrets', { secrets: [0, 40, 80].map((from) => toSecret(count(32, from))) }],
    ['a member that there is not', { secret }],
    ['a name that is no table key', { name: 'a/b' }],
  ])('refuses %s', (_what, changes) => {
    expect(parse(changes).success).toBe(false);
  });

  // With a secret of two, each receiver could write to the other as if it were the broker.
  test('refuses two webhooks with one secret, and two with one name', () => {
    const other = { ...hook, name: 'tickets', secrets: [toSecret(count(32, 100))] };

    expect(webhooksShape.safeParse([hook, other]).success).toBe(true);
    expect(webhooksShape.safeParse([hook, { ...other, secrets: [secret] }]).success).toBe(false);
    expect(webhooksShape.safeParse([hook, { ...other, name: 'chat' }]).success).toBe(false);
  });

  test('shows its secrets neither when it is logged nor when it is refused', () => {
    const parsed = webhooksShape.parse([hook]);
    const faulty = JSON.stringify([{ ...hook, url: 'x', secrets: [`${secret}x`, secret] }]);
    const shown: string[] = [JSON.stringify(parsed), inspect(parsed, { depth: 9 })];
    try {
      parseConfig({ SALLYPORT_WEBHOOKS: faulty });
    } catch (failure) {
      shown.push(inspect(failure));
    }

    expect(shown).toHaveLength(3);
    expect(shown[2]).toContain('SALLYPORT_WEBHOOKS.0.secrets.0: must be whsec_');
    expect(shown.join('\n')).not.toContain(secret.slice(6, 30));
    expect(shown.join('\n')).not.toContain(Buffer.from(count(32)).toString('hex').slice(8, 24));
  });
});
