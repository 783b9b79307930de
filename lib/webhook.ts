import type { KeyObject } from 'node:crypto';
import { createSecretKey } from 'node:crypto';
import * as z from 'zod';
import type { NoticeType } from './notice.ts';
import { everyEntry, noticeTypes } from './notice.ts';
import { isSecureUrl } from './trusted-issuer.ts';

/** Where notices are sent, which ones, and with what they are signed. A `KeyObject` shows its bytes to no log. */
export type Webhook = {
  readonly name: string;
  readonly url: URL;
  /** One, or the new and the old one while they rotate. */
  readonly secrets: readonly KeyObject[];
  readonly types: readonly (NoticeType | typeof everyEntry)[];
};

const prefix = 'whsec_';

// The examples of the specification, its libraries and its best-known service: everybody can sign with them.
const knownSecrets: readonly string[] = [
  'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  'C2FVsBQIhrscChlQIMV+b5sSYspob7oD',
  'plJ3nmyCDGBKInavdOK15jsl',
];

// Of 24 random bytes fewer differ once in sixty thousand million times; of what people make up, often.
const leastDifferentBytes = 14;

const secretShape = z
  .string()
  .refine(isSecret, {
    message: 'must be whsec_ and the base64 of 24 to 64 random bytes',
    abort: true,
  })
  .refine((text) => !knownSecrets.includes(toBase64(text)), 'is an example that everybody knows');

const webhookShape = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9-]{0,39}$/, 'must be a-z, 0-9 and hyphens'),
  url: z.string().refine(isReceiver, 'must be an https: URL (http: only on loopback)'),
  secrets: z.array(secretShape).min(1).max(2, 'must be one, or the new and the old one'),
  types: z
    .array(z.enum([...noticeTypes, everyEntry]))
    .min(1)
    .default([...noticeTypes]),
});

/** The setting `SALLYPORT_WEBHOOKS`. What it says about a fault never shows a value. */
export const webhooksShape = z
  .array(webhookShape)
  .max(10, 'must be at most ten')
  .refine((hooks) => isUnique(hooks.map(({ name }) => name)), 'must have names of their own')
  // With a shared secret each receiver could write to the other as if it were we.
  .refine(
    (hooks) => isUnique(hooks.flatMap(({ secrets }) => secrets)),
    'must have secrets of their own',
  )
  .transform((hooks) => hooks.map(toWebhook));

function toWebhook({ name, url, secrets, types }: z.infer<typeof webhookShape>): Webhook {
  const keys = secrets.map((text) => createSecretKey(toBase64(text), 'base64'));
  return { name, url: new URL(url), secrets: keys, types };
}

function isSecret(text: string): boolean {
  const bytes = Buffer.from(toBase64(text), 'base64');
  // Exactly as others would write it: not every library forgives what Node.js does.
  const isExact = `${prefix}${bytes.toString('base64')}` === text;
  const isLong = 24 <= bytes.length && bytes.length <= 64;
  return isExact && isLong && leastDifferentBytes <= new Set(bytes).size;
}

function toBase64(text: string): string {
  return text.slice(prefix.length);
}

function isReceiver(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && isSecureUrl(url) && url.username === '' && url.password === '';
}

function isUnique(values: readonly string[]): boolean {
  return new Set(values).size === values.length;
}
