/** Whether a text is base64url as an encoder writes it: no other text stands for the same bytes (RFC 4648, section 3.5). */
export function isBase64url(text: string): boolean {
  return Buffer.from(text, 'base64url').toString('base64url') === text;
}
