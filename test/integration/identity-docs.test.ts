import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseTrustedIssuers } from '../../lib/trusted-issuer.ts';
import { clientId, tenant } from '../support/token-factory.ts';

const page = readFileSync(new URL('../../docs/identity.md', import.meta.url), 'utf8');
const examples = [...page.matchAll(/^```json\n([^`]*)^```/gm)].map(([, text]) => text ?? '');

describe('docs/identity.md', () => {
  test('shows a configuration that the broker takes', () => {
    const list = examples.flatMap((text): unknown => JSON.parse(fillIn(text)));

    expect(parseTrustedIssuers(list).map(({ kind }) => kind)).toEqual([
      'entra',
      'oidc',
      'oidc',
      'oidc',
    ]);
  });

  // An example that was copied and forgotten must not come up and trust somebody.
  test('shows no Entra configuration that works without being filled in', () => {
    const [entra = ''] = examples;

    expect(() => parseTrustedIssuers(JSON.parse(entra))).toThrow('[0].tenant');
  });
});

function fillIn(text: string): string {
  return text
    .replaceAll('<tenant id>', tenant)
    .replaceAll('<client id>', clientId)
    .replaceAll('<issuer of the cluster>', 'https://cluster.test/42/')
    .replaceAll('<issuer of the token service>', 'https://sts.test/');
}
