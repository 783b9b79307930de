import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { connect as connectTls } from 'node:tls';
import { WebSocket } from 'ws';
import * as z from 'zod';
import { ensureCertificates } from '../../local/certificates.ts';
import type { FakeBroker } from './fake-broker.ts';
import { pool } from './fake-broker.ts';

/** One line of the gateway's log. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly event: string };

const lineShape = z.looseObject({ time: z.iso.datetime(), event: z.string() });

/** `node gateway/main.ts` in a process of its own, with a folder for its files. */
export class GatewayProcess {
  readonly folder: string;
  readonly ca: string;
  readonly lines: LogLine[] = [];
  readonly process: ChildProcess;
  readonly exited: Promise<number | null>;
  url = '';
  readonly #logged = new EventEmitter();

  private constructor(folder: string, ca: string, env: NodeJS.ProcessEnv) {
    this.folder = folder;
    this.ca = ca;
    const main = new URL('../../gateway/main.ts', import.meta.url).pathname;
    const stdio = ['ignore', 'pipe', 'inherit'] as const;
    const child = spawn(process.execPath, [main], { env, stdio: [...stdio] });
    this.process = child;
    this.exited = once(child, 'exit').then(() => child.exitCode);
    createInterface({ input: child.stdout }).on('line', (text) => {
      const line = lineShape.parse(JSON.parse(text));
      this.lines.push(line);
      this.#logged.emit('line', line);
    });
  }

  /** Starts a gateway of the fake broker, and resolves when it listens and has reached the broker. */
  static async start(broker: FakeBroker, changes: NodeJS.ProcessEnv = {}): Promise<GatewayProcess> {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-gateway-'));
    const tls = await ensureCertificates(folder, new Date());
    const rootsFile = join(folder, 'roots.json');
    const secretFile = join(folder, 'secret');
    writeFileSync(rootsFile, JSON.stringify({ keys: [broker.rootJwk] }));
    writeFileSync(secretFile, 'gateway-secret\n');
    const gateway = new GatewayProcess(folder, readFileSync(tls.ca, 'utf8'), {
      PATH: process.env['PATH'],
      SALLYPORT_BROKER_URL: broker.url,
      SALLYPORT_GATEWAY_ID: pool,
      SALLYPORT_LISTEN: '127.0.0.1:0',
      SALLYPORT_TLS_CERT: tls.certificate,
      SALLYPORT_TLS_KEY: tls.key,
      SALLYPORT_ROOT_KEYS: rootsFile,
      SALLYPORT_ALLOWED_NETWORKS: '127.0.0.0/8',
      SALLYPORT_TOKEN_URL: `${broker.url}/token`,
      SALLYPORT_CLIENT_ID: 'gateway',
      SALLYPORT_CLIENT_SECRET_FILE: secretFile,
      SALLYPORT_TOKEN_SCOPE: 'broker',
      ...changes,
    });
    const { url } = await gateway.findLine('listening');
    gateway.url = String(url);
    await gateway.findLine('broker-reached');
    return gateway;
  }

  /** Resolves with the first line that is wanted, logged already or still to come. */
  async findLine(
    event: string,
    isWanted: (line: LogLine) => boolean = () => true,
  ): Promise<LogLine> {
    for (;;) {
      const found = this.lines.find((line) => line.event === event && isWanted(line));
      if (found !== undefined) return found;
      await once(this.#logged, 'line');
    }
  }

  /** Ends the process if it still runs. Throws when anything in it went wrong that nobody expected. */
  async stop(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.exited;
    rmSync(this.folder, { recursive: true });
    const faults = this.lines.filter((line) => line.event === 'fault');
    if (faults.length > 0) throw new Error(`the gateway logged faults: ${JSON.stringify(faults)}`);
  }

  /** Opens a WebSocket with a ticket, and pauses it; rejects with a Refused when it is refused. */
  async open(ticket: string, protocols: readonly string[] = []): Promise<WebSocket> {
    return this.openWith({ authorization: `Bearer ${ticket}` }, protocols);
  }

  /** Opens a WebSocket with these headers. */
  async openWith(
    headers: Readonly<Record<string, string>>,
    protocols: readonly string[] = [],
    url = this.url,
  ): Promise<WebSocket> {
    const options = { ca: this.ca, headers, perMessageDeflate: false };
    const socket = new WebSocket(url, [...protocols], options);
    const { promise, resolve, reject } = Promise.withResolvers<WebSocket>();
    socket.on('open', () => {
      // What comes with the handshake would be gone before the test listens.
      socket.pause();
      resolve(socket);
    });
    socket.on('error', reject);
    socket.on('unexpected-response', (_, response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => {
        const { statusCode = 0, headers } = response;
        reject(new Refused(statusCode, headers, Buffer.concat(parts).toString()));
      });
    });
    return promise;
  }

  /** Resolves with the status of /healthz. */
  async health(): Promise<number> {
    const socket = await this.openTls();
    socket.write('GET /healthz HTTP/1.1\r\nhost: gateway\r\n\r\n');
    return Number((await text(socket)).split(' ', 2)[1]);
  }

  /** Opens a tunnel for frames that no WebSocket client would send, up to the end of the handshake. */
  async openRaw(ticket: string): Promise<TLSSocket> {
    const socket = await this.openTls();
    socket.write(formatUpgrade({ authorization: `Bearer ${ticket}` }));
    while (!String(socket.read()).startsWith('HTTP/1.1 101 ')) await once(socket, 'readable');
    return socket;
  }

  /** Opens a TLS connection for bytes that no WebSocket client would send. */
  async openTls(changes: ConnectionOptions = {}): Promise<TLSSocket> {
    const { hostname, port } = new URL(this.url);
    const socket = connectTls({ host: hostname, port: Number(port), ca: this.ca, ...changes });
    socket.on('error', () => {});
    await once(socket, 'secureConnect');
    return socket;
  }
}

/** Returns the head of a WebSocket handshake; an undefined header is left out. */
export function formatUpgrade(changes: Readonly<Record<string, string | undefined>> = {}): string {
  const headers = {
    host: 'gateway',
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    ...changes,
  };
  const lines = Object.entries(headers)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${value}`);
  return `GET /connect HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`;
}

/** A handshake that was answered with something else than 101. */
export class Refused extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;

  constructor(status: number, headers: Refused['headers'], body: string) {
    super(`refused with ${status}: ${body}`);
    this.status = status;
    this.headers = headers;
    this.body = body;
  }

  /** The code of the problem in the body. */
  get code(): unknown {
    return z.looseObject({ code: z.string() }).parse(JSON.parse(this.body)).code;
  }
}
