import type { IncomingHttpHeaders, IncomingMessage, RequestOptions } from 'node:http';
import * as http from 'node:http';
import * as https from 'node:https';
import { CommandError, UnreachableError } from './command-error.ts';
import { exitCodes } from './exit-code.ts';
import { readBody } from './read-body.ts';
import { parseSafeUrl } from './safe-url.ts';
import type { Trust } from './trust.ts';

export type HttpRequest = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** 30 s when absent. */
  readonly timeoutMilliseconds?: number;
  /** Gives the request up when it aborts. */
  readonly signal?: AbortSignal;
};

export type HttpReply = {
  readonly status: number;
  readonly text: string;
  /** By their names in lower case. */
  readonly headers: IncomingHttpHeaders;
};

/** Sends one request and returns its answer, whatever its status. Fails with `UnreachableError` when there is none. */
export type Http = (request: HttpRequest) => Promise<HttpReply>;

/** Returns a sender whose requests are given up when the signal aborts. */
export function stopHttp(send: Http, signal: AbortSignal): Http {
  return async (request) => send({ ...request, signal });
}

const defaultTimeoutMilliseconds = 30_000;

// Larger than any page of the broker; bounds what a wrong address can make us hold.
const maxAnswerBytes = 8 * 1024 * 1024;

/**
 * Returns a sender over HTTP/1.1 that keeps connections open. It sends nothing in the clear but to this machine, and
 * follows no redirect, so that a token goes only where it was addressed to.
 */
export function createHttp(findTrust: () => Trust): Http {
  const plainAgent = new http.Agent({ keepAlive: true });
  let tlsAgent: https.Agent | undefined;
  const findTlsAgent = (): https.Agent => {
    const { ca } = findTrust();
    tlsAgent ??= new https.Agent({ keepAlive: true, ...(ca === undefined ? {} : { ca: [...ca] }) });
    return tlsAgent;
  };
  return async (request) => {
    const url = parseSafeUrl(request.url, 'https:');
    if (url === undefined)
      throw new CommandError(exitCodes.unexpected, `${request.url} is not an https URL.`);
    const isTls = url.protocol === 'https:';
    const options = toOptions(request, isTls ? findTlsAgent() : plainAgent);
    try {
      return await exchange(
        isTls ? https.request(url, options) : http.request(url, options),
        request,
      );
    } catch (cause) {
      throw toUnreachable(url, cause);
    }
  };
}

function toOptions(request: HttpRequest, agent: http.Agent): RequestOptions {
  const body =
    request.body === undefined ? {} : { 'content-length': Buffer.byteLength(request.body) };
  // A POST without a body says so: some hosts answer 411 otherwise.
  const length = request.method === 'GET' ? {} : { 'content-length': 0, ...body };
  const timeout = AbortSignal.timeout(request.timeoutMilliseconds ?? defaultTimeoutMilliseconds);
  return {
    agent,
    method: request.method,
    headers: { ...request.headers, ...length },
    signal: request.signal === undefined ? timeout : AbortSignal.any([timeout, request.signal]),
  };
}

async function exchange(message: http.ClientRequest, request: HttpRequest): Promise<HttpReply> {
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    message.once('response', resolve).once('error', reject);
  });
  message.end(request.body);
  const answer = await answered;
  const text = await readBody(answer, maxAnswerBytes);
  return { status: answer.statusCode ?? 0, text, headers: answer.headers };
}

const untrusted: ReadonlySet<string> = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** Returns the failure of a connection as one sentence that names the other side and not what was sent there. */
export function toUnreachable(url: URL, cause: unknown): UnreachableError {
  const code = findErrorCode(cause);
  if (untrusted.has(code))
    return new UnreachableError(
      `The certificate of ${url.host} is not trusted (${code}). Give its authority with --ca FILE.`,
      cause,
    );
  return new UnreachableError(`${url.host} cannot be reached (${code}).`, cause);
}

function findErrorCode(cause: unknown): string {
  if (!(cause instanceof Error)) return 'unknown';
  if (cause.name === 'AbortError' || cause.name === 'TimeoutError') return 'no answer in time';
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.message;
}
