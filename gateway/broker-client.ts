import { randomUUID } from 'node:crypto';
import { BrokerError } from '../lib/failure.ts';
import type {
  CloseRequest,
  LeakReport,
  LeaseAnswer,
  LeaseRequest,
  ProbeReport,
  RedeemAnswer,
  RedeemRequest,
} from '../lib/gateway-call.ts';
import { leaseAnswerShape, redeemAnswerShape } from '../lib/gateway-call.ts';
import type { Problem } from '../lib/problem.ts';
import { problemShape } from '../lib/problem.ts';
import type { Send, TokenSource } from './token-source.ts';

/** The calls of a gateway to its broker. Each has its own deadline and checks the shape of the answer. */
export type BrokerClient = {
  /**
   * Redeems a ticket. Whatever is not a clear refusal is tried once more under the same nonce. Fails with a
   * BrokerRefusal, or with `broker-unavailable`.
   */
  readonly redeem: (
    wanted: Pick<RedeemRequest, 'ticket' | 'clientIp'>,
    signal: AbortSignal,
  ) => Promise<RedeemAnswer>;
  readonly renew: (request: Omit<LeaseRequest, 'instance'>) => Promise<LeaseAnswer>;
  /** Reports a close. Resolves with `refused` when a repetition cannot help. */
  readonly close: (connection: string, report: CloseRequest) => Promise<'taken' | 'refused'>;
  /** Reports what a probe found. */
  readonly probe: (report: Omit<ProbeReport, 'instance'>) => Promise<void>;
  /** Reports a ticket that came in a URL. Resolves with `refused` when the broker knows no such ticket. */
  readonly leak: (leak: Omit<LeakReport, 'instance'>) => Promise<'taken' | 'refused'>;
};

/** A refusal of the broker, to be shown to the client as it is. */
export class BrokerRefusal extends Error {
  override readonly name = 'BrokerRefusal';
  readonly problem: Problem;
  readonly retryAfterSeconds: number | undefined;

  constructor(problem: Problem, retryAfterSeconds: number | undefined) {
    super(`the broker refused: ${problem.code}`);
    this.problem = problem;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

type Reply = { readonly status: number; readonly retryAfter: string | null; readonly text: string };
type Exchange = (path: string, body: unknown, signal: AbortSignal) => Promise<Reply>;

// Two attempts fit into the ten seconds that a client waits at most.
const attemptMilliseconds = 4900;
const retryAfterSeconds = 5;

// These say that something is wrong with the gateway's own identity; to the client the broker is away.
const ownFaults = ['token-invalid', 'token-missing', 'role-missing', 'gateway-unknown'];

// A repetition of the same report would get the same answer.
const finalStatuses = [400, 404, 405, 409, 410, 411, 413, 415, 422];

/** Returns the client of the broker at a base URL, which ends in a slash, for one gateway process. */
export function createBrokerClient(
  base: URL,
  instance: string,
  tokens: TokenSource,
  send: Send,
): BrokerClient {
  const exchange = createExchange(base, tokens, send);
  return {
    redeem: async (wanted, signal) => {
      const request: RedeemRequest = { ...wanted, instance, nonce: randomUUID() };
      try {
        return await redeemOnce(exchange, request, signal);
      } catch (error) {
        if (error instanceof BrokerRefusal || signal.aborted) throw toFailure(error);
      }
      try {
        return await redeemOnce(exchange, request, signal);
      } catch (error) {
        throw toFailure(error);
      }
    },
    renew: async (request) => {
      const body: LeaseRequest = { instance, ...request };
      const signal = AbortSignal.timeout(attemptMilliseconds);
      const reply = await exchange('api/gateway/leases', body, signal);
      if (reply.status !== 200) throw new Error(`the broker answered ${reply.status} to a lease`);
      return leaseAnswerShape.parse(JSON.parse(reply.text));
    },
    close: async (connection, report) => reportClose(exchange, connection, report),
    probe: async (report) => reportProbe(exchange, { instance, ...report }),
    leak: async (leak) => reportLeak(exchange, { instance, ...leak }),
  };
}

function createExchange(base: URL, tokens: TokenSource, send: Send): Exchange {
  return async (path, body, signal) => {
    const token = await tokens.get(signal);
    const response = await send(new URL(path, base), {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
      // A token is for this broker and for nobody that it may point at.
      redirect: 'error',
      signal,
    });
    const text = await response.text();
    if (!response.ok && ownFaults.includes(findProblem(text)?.code ?? '')) tokens.forget(token);
    return { status: response.status, retryAfter: response.headers.get('retry-after'), text };
  };
}

async function redeemOnce(
  exchange: Exchange,
  request: RedeemRequest,
  signal: AbortSignal,
): Promise<RedeemAnswer> {
  const limited = AbortSignal.any([signal, AbortSignal.timeout(attemptMilliseconds)]);
  const reply = await exchange('api/gateway/connections', request, limited);
  if (200 <= reply.status && reply.status <= 299)
    return redeemAnswerShape.parse(JSON.parse(reply.text));
  const problem = findProblem(reply.text);
  if (problem?.status !== reply.status || ownFaults.includes(problem.code))
    throw new Error(`the broker answered ${reply.status} ${problem?.code ?? ''} to a redemption`);
  throw new BrokerRefusal(problem, toSeconds(reply.retryAfter));
}

function toFailure(error: unknown): Error {
  if (error instanceof BrokerRefusal) return error;
  const details = { cause: error, retryAfterSeconds };
  return new BrokerError('broker-unavailable', 'Try again in a few seconds.', details);
}

async function reportClose(
  exchange: Exchange,
  connection: string,
  report: CloseRequest,
): Promise<'taken' | 'refused'> {
  const path = `api/gateway/connections/${connection}/close`;
  const { status, text } = await exchange(path, report, AbortSignal.timeout(attemptMilliseconds));
  // A Functions host that still loads, or a proxy, answers with a bare 404.
  const isFromBroker = findProblem(text)?.status === status;
  if (isFromBroker && finalStatuses.includes(status)) return 'refused';
  if (status !== 204) throw new Error(`the broker answered ${status} to a close`);
  return 'taken';
}

async function reportProbe(exchange: Exchange, report: ProbeReport): Promise<void> {
  const signal = AbortSignal.timeout(attemptMilliseconds);
  const { status } = await exchange('api/gateway/probes', report, signal);
  if (status !== 204) throw new Error(`the broker answered ${status} to a probe`);
}

async function reportLeak(exchange: Exchange, leak: LeakReport): Promise<'taken' | 'refused'> {
  const signal = AbortSignal.timeout(attemptMilliseconds);
  const { status, text } = await exchange('api/gateway/leaks', leak, signal);
  if (findProblem(text)?.code === 'ticket-invalid') return 'refused';
  if (status !== 204) throw new Error(`the broker answered ${status} to a leak`);
  return 'taken';
}

function findProblem(text: string): Problem | undefined {
  try {
    return problemShape.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

function toSeconds(retryAfter: string | null): number | undefined {
  return retryAfter !== null && /^\d{1,5}$/.test(retryAfter) ? Number(retryAfter) : undefined;
}
