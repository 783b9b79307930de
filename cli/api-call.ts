import { type Challenge, findChallenge, type GetToken } from './claims-challenge.ts';
import { CommandError, UnreachableError } from './command-error.ts';
import { exitCodes } from './exit-code.ts';
import type { Http, HttpReply, HttpRequest } from './http.ts';

/** One call of the broker: a path below its base URL, or a whole URL of its own. */
export type Call = Omit<HttpRequest, 'url'> & { readonly path: string };

/** Sends a call with the caller's token and returns the answer, whatever its status. */
export type Exchange = (call: Call) => Promise<HttpReply>;

export const jsonAccepted = { accept: 'application/problem+json, application/json' };

/**
 * Returns a sender to the broker. A claims challenge is answered once with a better token, and the call repeated; one
 * that comes again is an answer like any other.
 */
export function createExchange(http: Http, broker: URL, getToken: GetToken): Exchange {
  // INVARIANT: a challenge for which a better token was refused is not taken up again in this run.
  const hopeless = new Set<string>();
  return async ({ path, ...call }) => {
    const url = new URL(path, broker);
    // INVARIANT: a token goes to the broker alone, whatever a `nextLink` says.
    if (url.origin !== broker.origin)
      throw new CommandError(
        exitCodes.unexpected,
        `The broker refers to another host, ${url.host}.`,
      );
    const type = call.body === undefined ? {} : { 'content-type': 'application/json' };
    const sendWith = async (token: string): Promise<HttpReply> => {
      const headers = { ...jsonAccepted, ...type, ...call.headers };
      const authorization = `Bearer ${token}`;
      return sendTwice(http, { ...call, url: url.href, headers: { ...headers, authorization } });
    };
    const token = await getToken();
    const reply = await sendWith(token);
    const challenge = findChallenge(reply, token);
    if (challenge === undefined || hopeless.has(challenge.encoded)) return reply;
    return answerChallenge(challenge, { getToken, sendWith, hopeless });
  };
}

type ChallengePorts = {
  readonly getToken: GetToken;
  readonly sendWith: (token: string) => Promise<HttpReply>;
  readonly hopeless: Set<string>;
};

async function answerChallenge(
  challenge: Challenge,
  { getToken, sendWith, hopeless }: ChallengePorts,
): Promise<HttpReply> {
  const token = await getToken(challenge);
  const reply = await sendWith(token);
  if (findChallenge(reply, token) !== undefined) hopeless.add(challenge.encoded);
  return reply;
}

/**
 * Sends a request once more when there was no answer. Each of ours may be repeated: a PUT carries its id, a termination
 * is final, a vote is cast once, a second ticket harms nobody.
 */
export async function sendTwice(http: Http, request: HttpRequest): Promise<HttpReply> {
  try {
    return await http(request);
  } catch (failure) {
    if (!(failure instanceof UnreachableError)) throw failure;
    return http(request);
  }
}
