import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { portOf } from '../../local/free-port.ts';

/** A request that a receiver got. */
export type Receipt = {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** The body as JSON. */
  readonly event: Readonly<Record<string, unknown>>;
};

/** A receiver of webhooks: a real HTTP server on loopback. */
export type WebhookReceiver = {
  readonly url: string;
  readonly receipts: readonly Receipt[];
  readonly close: () => Promise<void>;
};

/** Starts a receiver whose answers are given by `answer`; an answer that never comes is one that hangs. */
export async function startWebhookReceiver(
  answer: (receipt: Receipt, response: ServerResponse) => void,
): Promise<WebhookReceiver> {
  const receipts: Receipt[] = [];
  const server = createServer((request, response) => {
    void receive(request).then((receipt) => {
      receipts.push(receipt);
      answer(receipt, response);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${String(portOf(server.address()))}/hook?key=url-key`,
    receipts,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function receive(request: IncomingMessage): Promise<Receipt> {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(request, 'end');
  const body = Buffer.concat(chunks).toString();
  const event: unknown = JSON.parse(body);
  const headers = Object.entries(request.headers).map(
    ([name, value]) => [name, String(value)] as const,
  );
  return {
    headers: Object.fromEntries(headers),
    body,
    event: typeof event === 'object' && event !== null ? { ...event } : {},
  };
}
