import { execFileSync } from 'node:child_process';
import { createSecretKey, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod';
import { noticeTypes } from '../../lib/notice.ts';
import { signNotice } from '../../lib/webhook-signature.ts';
import { webhooksShape } from '../../lib/webhook.ts';
import { describeWith, requireProgram } from '../support/programs.ts';

const page = readFileSync(new URL('../../docs/webhooks.md', import.meta.url), 'utf8');

type Verify = (secret: string, headers: object, body: Buffer) => unknown;

const [old, current] = [randomBytes(32), randomBytes(32)];
const secret = `whsec_${current.toString('base64')}`;
const body = JSON.stringify({ reason: 'Ünïcode and a full stop.' });
const now = new Date();

function findExample(language: string): string {
  return (
    new RegExp(`^\`\`\`${language}\n([^\`]*(?:\`[^\`]+\`[^\`]*)*?)^\`\`\``, 'm').exec(page)?.[1] ??
    ''
  );
}

function sign(keys: readonly Buffer[], at = now) {
  return {
    ...signNotice(
      keys.map((key) => createSecretKey(key)),
      { id: 'n-1', body },
      at,
    ),
  };
}

const cases = [
  ['takes a notice', sign([current]), body, true],
  ['takes one that is signed with the old secret too', sign([current, old]), body, true],
  ['refuses another secret', sign([old]), body, false],
  ['refuses another body', sign([current]), body.replace('full', 'half'), false],
  ['refuses another id', { ...sign([current]), 'webhook-id': 'n-2' }, body, false],
  ['refuses an old notice', sign([current], new Date(now.getTime() - 400_000)), body, false],
  ['refuses one without a signature', { ...sign([current]), 'webhook-signature': '' }, body, false],
] as const;

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-docs-'));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

describe('docs/webhooks.md', () => {
  test('lists every type of notice', () => {
    for (const type of noticeTypes) expect(page).toContain(`| \`${type}\` |`);
  });

  // An example that was copied and forgotten must not come up.
  test('shows a setting that works once its secret is filled in, and not before', () => {
    const example = findExample('json');

    expect(webhooksShape.safeParse(JSON.parse(example)).success).toBe(false);
    expect(webhooksShape.safeParse(JSON.parse(example.replace('whsec_…', secret))).success).toBe(
      true,
    );
  });

  const moduleShape = z.object({ verify: z.custom<Verify>(isFunction) });

  test.each(cases)('its code for Node.js %s', async (_name, headers, sent, isGenuine) => {
    const file = join(folder, 'verify.mjs');
    writeFileSync(file, findExample('js'));
    const { verify } = moduleShape.parse(await import(file));

    const check = () => verify(secret, headers, Buffer.from(sent));

    if (isGenuine) expect(check()).toEqual(JSON.parse(body));
    else expect(check).toThrow(/too old|not from the broker/);
  });
});

describeWith(['python3'], 'docs/webhooks.md with Python', () => {
  test.each(cases)('its code %s', (_name, headers, sent, isGenuine) => {
    const file = join(folder, 'check.py');
    const call = `import sys\nsecret, headers, body = json.load(sys.stdin)\n`;
    const last = `print(json.dumps(verify(secret, headers, body.encode())))\n`;
    writeFileSync(file, findExample('python') + call + last);

    const run = () =>
      execFileSync(requireProgram('python3'), [file], {
        input: JSON.stringify([secret, headers, sent]),
        stdio: 'pipe',
        encoding: 'utf8',
      });

    if (isGenuine) expect(JSON.parse(run())).toEqual(JSON.parse(body));
    else expect(run).toThrow(/too old|not from the broker/);
  });
});

function isFunction(value: unknown): boolean {
  return typeof value === 'function';
}
