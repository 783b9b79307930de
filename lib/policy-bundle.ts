import * as z from 'zod';
import { toCanonicalJson } from './canonical-json.ts';
import { toDigest } from './policy-digest.ts';
import type { PolicyFile } from './policy-scan.ts';
import { policySchema } from './policy-schema.ts';

/** What a bundle may weigh. A set holds 1 MiB; JSON at most doubles a sound text, and names and vocabulary come on top. */
export const bundleBytes = 3 * 1024 * 1024;

const bundleShape = z.strictObject({
  v: z.literal(1),
  // In the bundle and not that of this broker: a later version, which knows more words, must still be able to tell
  // that the bundle is the one that its name says.
  vocabulary: z.string(),
  files: z.array(z.strictObject({ name: z.string(), text: z.string() })),
});

/** Returns the bundle of a set, and the digest that names it. The same set always gives the same text. */
export function writeBundle(files: readonly PolicyFile[]): {
  readonly digest: string;
  readonly text: string;
} {
  const ordered = files
    .map(({ name, text }) => ({ name, text: text.replaceAll('\r\n', '\n') }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const bundle = { v: 1, vocabulary: policySchema, files: ordered };
  return { digest: toDigest(files), text: toCanonicalJson(bundle) };
}

/** Returns the files of a bundle, not yet checked; undefined when its content is not the one that the digest names. */
export function readBundle(text: string, digest: string): readonly PolicyFile[] | undefined {
  const bundle = bundleShape.safeParse(parseJson(text));
  if (!bundle.success) return undefined;
  const { files, vocabulary } = bundle.data;
  return toDigest(files, vocabulary) === digest ? files : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
