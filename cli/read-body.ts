/** Returns the text of a message's body, or throws when it is longer than so many bytes. */
export async function readBody(message: AsyncIterable<unknown>, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of message) {
    if (!Buffer.isBuffer(chunk)) throw new Error('the body is not made of bytes');
    length += chunk.length;
    if (maxBytes < length) throw new Error('the answer is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
