import * as z from 'zod';

/** What a pointer may weigh. */
export const pointerBytes = 16 * 1024;

/** Text of a person that ends in an audit entry: no control, bidirectional or lone surrogate characters. */
const plainText = z
  .string()
  .min(1)
  .max(500)
  .regex(/^[^\p{Cc}\p{Cs}\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069\u2028\u2029]*$/u);

const pointerShape = z.strictObject({
  v: z.literal(1),
  digest: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  publishedBy: plainText.exactOptional(),
  note: plainText.exactOptional(),
});

/** Which set is published. Who did it, and why, is what the pointer says, and proves nothing. */
export type PolicyPointer = Omit<z.infer<typeof pointerShape>, 'v'>;

/** Returns the text of a pointer, or throws when one of its members cannot be published. */
export function writePointer(pointer: PolicyPointer): string {
  return `${JSON.stringify(z.parse(pointerShape, { v: 1, ...pointer }))}\n`;
}

/** Returns what a pointer says, or throws when it is none. */
export function parsePointer(text: string): PolicyPointer {
  try {
    const { v: _, ...pointer } = pointerShape.parse(JSON.parse(text));
    return pointer;
  } catch (cause) {
    throw new Error('the pointer is malformed', { cause });
  }
}
