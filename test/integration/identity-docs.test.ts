import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseTrustedIssuers } from '../../lib/trusted-issuer.ts';
import { clientId, tenant } from '../support/token-factory.ts';

const page = readFileSync(new URL('../../docs/identity.md', import.meta.url), 'utf8');
const examples = [...page.matchAll(/^```json\n([^`]*)^```/gm)].map(([, text]) => text ?? '');

describe('docs/identity.md', () => {
  test('shows a configuration that the broker takes', () => {
    const lists = examples.map((text) => parse(fillIn(text)));

    expect(lists.flat().map(({ kind }) => kind)).toEqual(['entra', 'oidc', 'oidc']);
    expect(parseTrustedIssuers(lists.flat())).toHaveLength(3);
  });

  // An example that was copied and forgotten must not come up and trust somebody.
  test('shows no Entra configuration that works without being filled in', () => {
    expect(() => parse(examples[0] ?? '')).toThrow('[0].tenant');
  });
});

function parse(text: string): ReturnType<typeof parseTrustedIssuers> {
  return parseTrustedIssuers(JSON.parse(text));
}

function fillIn(text: string): string {
  return text
    .replaceAll('<tenant id>', tenant)
    .replaceAll('<client id>', clientId)
    .replaceAll('<issuer of the cluster>', 'https://cluster.test/42/');
}
