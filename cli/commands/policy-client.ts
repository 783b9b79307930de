import type * as z from 'zod';
import { parseAnswer } from '../api-answer.ts';
import { type Context, findBroker } from '../context.ts';
import { chooseTokenSource } from '../token-source.ts';

// To try a set on thousands of decisions takes a while.
const timeoutMilliseconds = 180_000;

/** Sends a question about policy to the broker and returns its answer in its shape. */
export type AskPolicy = <T>(
  name: 'explain' | 'simulate',
  body: object,
  shape: z.ZodType<T>,
) => Promise<T>;

/** Returns a sender to the broker that the settings or the login name, with the caller's token. */
export async function openPolicyClient(context: Context): Promise<AskPolicy> {
  const profile = await context.store.read(context.settings.profile);
  const broker = findBroker(context.settings, profile);
  const getToken = chooseTokenSource(context, broker, profile);
  return async (name, body, shape) => {
    const reply = await context.http({
      method: 'POST',
      url: new URL(`api/policy/${name}`, broker).href,
      headers: {
        accept: 'application/problem+json, application/json',
        'content-type': 'application/json',
        authorization: `Bearer ${await getToken()}`,
      },
      body: JSON.stringify(body),
      timeoutMilliseconds,
    });
    return parseAnswer(reply, shape, `POST /api/policy/${name}`);
  };
}
