import { readFileSync } from 'node:fs';
import type { HttpClient, PipelineRequest, PipelineResponse } from '@azure/core-rest-pipeline';
import { RestError, createHttpHeaders } from '@azure/core-rest-pipeline';
import * as z from 'zod';

const errorShape = z.object({
  status: z.int(),
  headers: z.record(z.string(), z.string()),
  body: z.unknown().optional(),
  text: z.string().optional(),
});

type Answer = {
  /** 200 when absent. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly text: string;
};

/** What the fake says to a request: an answer, a lost connection, or nothing until it is aborted, or nothing ever. */
export type Reply = Answer | 'reset' | 'silent' | 'deaf';

/** A stand-in for ARM behind the HTTP client of the SDK. It answers by path; what it does not know is a 404. */
export type FakeArm = {
  readonly httpClient: HttpClient;
  readonly credential: { readonly getToken: (scopes: string | string[]) => Promise<Token> };
  /** The path of every request so far in lower case, with the skip token of a page. */
  readonly calls: readonly string[];
  readonly requests: readonly PipelineRequest[];
  /** Serves a resource at the path that its own `id` names, and returns that id. */
  readonly serve: (body: string) => string;
  /** Answers a path with these replies, one after the other; the last one stays. */
  readonly answer: (path: string, ...replies: readonly [Reply, ...Reply[]]) => void;
};

type Token = { readonly token: string; readonly expiresOnTimestamp: number };

/** Reads a payload of `test/data/arm` as text. */
export function readPayload(name: string): string {
  return readFileSync(new URL(`../data/arm/${name}.json`, import.meta.url), 'utf8');
}

/** Returns the answer that `errors.json` has under the name. */
export function readError(name: string): Answer & { readonly status: number } {
  const errors = z.record(z.string(), errorShape).parse(JSON.parse(readPayload('errors')));
  const { status, headers, body, text } = errorShape.parse(errors[name]);
  return { status, headers, text: text ?? JSON.stringify(body) };
}

/** Makes a fake that serves the named payloads, each at the path that its own `id` names. */
export function fakeArm(payloads: readonly string[] = []): FakeArm {
  const replies = new Map<string, readonly Reply[]>();
  const requests: PipelineRequest[] = [];
  const answer: FakeArm['answer'] = (path, ...rest) => {
    replies.set(path.toLowerCase(), rest);
  };
  const serve: FakeArm['serve'] = (body) => {
    const { id } = z.object({ id: z.string() }).parse(JSON.parse(body));
    answer(id, { text: body });
    return id;
  };
  const takeReply = (path: string): Reply => {
    const [reply = readError('404-resource'), ...rest] = replies.get(path) ?? [];
    if (rest.length > 0) replies.set(path, rest);
    return reply;
  };
  for (const name of payloads) serve(readPayload(name));
  return {
    credential: {
      getToken: async () => ({ token: 'arm-token', expiresOnTimestamp: Date.now() + 3_600_000 }),
    },
    httpClient: {
      sendRequest: async (request) => {
        requests.push(request);
        return toResponse(request, takeReply(toPath(request)));
      },
    },
    get calls() {
      return requests.map(toPath);
    },
    requests,
    serve,
    answer,
  };
}

function toPath({ url }: PipelineRequest): string {
  const { pathname, searchParams } = new URL(url);
  const page = searchParams.get('$skiptoken');
  return pathname.toLowerCase() + (page === null ? '' : `?${page}`);
}

async function toResponse(request: PipelineRequest, reply: Reply): Promise<PipelineResponse> {
  if (reply === 'deaf') return new Promise(() => {});
  if (reply === 'silent') return untilAborted(request);
  if (reply === 'reset') throw new RestError('read ECONNRESET', { code: 'ECONNRESET', request });
  const { status = 200, headers, text } = reply;
  const json = { 'content-type': 'application/json', ...headers };
  return { request, status, headers: createHttpHeaders(json), bodyAsText: text };
}

async function untilAborted({ abortSignal }: PipelineRequest): Promise<PipelineResponse> {
  return new Promise((_, reject) => {
    const abort = (): void => reject(new DOMException('aborted', 'AbortError'));
    if (abortSignal?.aborted) abort();
    abortSignal?.addEventListener('abort', abort);
  });
}
