import { randomUUID } from 'node:crypto';
import type { Agent } from 'node:http';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import type { SessionView } from '../../lib/session-view.ts';
import { sessionViewShape } from '../../lib/session-view.ts';
import type { SimulateAnswer } from '../../lib/simulate-view.ts';
import { simulateAnswerShape } from '../../lib/simulate-view.ts';

/** An answer as it came; it is looked at after the clock has stopped. */
export type Answer = { readonly status: number; readonly body: string };

/** A session that was granted, with its first ticket. */
export type Granted = SessionView & { readonly ticket: NonNullable<SessionView['ticket']> };

/** What a simulation found. */
export type Simulated = Extract<SimulateAnswer, { readonly outcome: 'sound' }>;

/** Asks for a discovery document: the cheapest answer that the composed app has. */
export async function getDiscovery(base: string, agent: Agent): Promise<Answer> {
  return send(new URL('/.well-known/sallyport', base), agent, { method: 'GET' });
}

/** Asks whether the process answers: the first answer that a new one gives. */
export async function getLive(base: string, agent: Agent): Promise<Answer> {
  return send(new URL('/api/health/live', base), agent, { method: 'GET' });
}

/** Requests a session under a new id, as a portal would. */
export async function putSession(
  base: string,
  agent: Agent,
  { token, wish }: { readonly token: string; readonly wish: object },
): Promise<Answer> {
  const url = new URL(`/api/sessions/${randomUUID()}`, base);
  return send(url, agent, { method: 'PUT', token, body: JSON.stringify(wish) });
}

/** Tries a proposed policy set. */
export async function postSimulate(
  base: string,
  agent: Agent,
  { token, question }: { readonly token: string; readonly question: object },
): Promise<Answer> {
  const url = new URL('/api/policy/simulate', base);
  return send(url, agent, { method: 'POST', token, body: JSON.stringify(question) });
}

/** Returns what a simulation found, or throws when it is none. */
export function parseSimulated({ status, body }: Answer): Simulated {
  if (status !== 200) throw new Error(`a simulation was refused with ${String(status)}: ${body}`);
  const answer = simulateAnswerShape.parse(JSON.parse(body));
  if (answer.outcome === 'faulty') throw new Error(`the proposed set has faults: ${body}`);
  return answer;
}

/** Returns the session of an answer, or throws when none was granted: a fast refusal must not win. */
export function parseGranted({ status, body }: Answer): Granted {
  if (status !== 201) throw new Error(`a session was refused with ${String(status)}: ${body}`);
  const view = sessionViewShape.parse(JSON.parse(body));
  if (view.ticket === undefined) throw new Error('a session came without its ticket');
  return { ...view, ticket: view.ticket };
}

/** Throws when the answer is not the discovery document of a broker. */
export function checkDiscovery({ status, body }: Answer): void {
  if (status !== 200 || !body.includes('"name":"sallyport"'))
    throw new Error(`the discovery document came with ${String(status)}: ${body}`);
}

type Sent = { readonly method: string; readonly token?: string; readonly body?: string };

async function send(url: URL, agent: Agent, { method, token, body }: Sent): Promise<Answer> {
  const headers = {
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(body === undefined
      ? {}
      : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
  };
  return new Promise((resolve, reject) => {
    const sent = request(url, { agent, method, headers }, (response) => {
      text(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject);
    });
    sent.once('error', reject).end(body);
  });
}
