import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { EventEmitter, on, once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { json, text } from 'node:stream/consumers';
import type { SigningKey } from '../../lib/endorsement.ts';
import { signEndorsement } from '../../lib/endorsement.ts';
import type { FailureCode } from '../../lib/failure.ts';
import { BrokerError } from '../../lib/failure.ts';
import type {
  CloseRequest,
  LeakReport,
  LeaseAnswer,
  LeaseRequest,
  ProbeReport,
  RedeemAnswer,
  RedeemRequest,
} from '../../lib/gateway-call.ts';
import {
  closeRequestShape,
  leakReportShape,
  leaseRequestShape,
  probeReportShape,
  redeemRequestShape,
} from '../../lib/gateway-call.ts';
import { toProblem } from '../../lib/problem.ts';
import type { PublicJwk } from '../../lib/root-key.ts';
import { toKid, toPublicJwk } from '../../lib/root-key.ts';
import type { Permission } from '../../lib/ticket.ts';
import { signTicket, verifyTicket } from '../../lib/ticket.ts';
import { toTrustedRoots } from '../../lib/root-key.ts';

/** A close as a gateway reported it. */
export type ReportedClose = CloseRequest & { readonly connection: string };

/** How the broker behaves; a test may change it at any time. */
export type Behaviour = {
  /** Cuts every request off, as if the broker were not there. */
  isAway: boolean;
  /** Cuts off this many redemptions after they have been stored. */
  lostAnswers: number;
  /** Cuts off this many closes, as if they had not arrived. */
  lostCloses: number;
  /** Redemptions that come are answered when this has resolved. */
  held: Promise<void>;
  /** Refuses every redemption with this. */
  refusal: FailureCode | undefined;
  /** Changes what is granted. */
  grant: Partial<RedeemAnswer>;
  /** Handed out with the next lease answer. */
  verdicts: LeaseAnswer['verdicts'];
  /** What other gateway processes have carried, told with every lease answer. */
  bytesElsewhere: LeaseAnswer['bytesElsewhere'];
  /** Signed orders of probes, handed out with every lease answer. */
  probes: string[];
  /** Cuts off this many reports of probes and leaks after they have been noted. */
  lostReports: number;
  clockSkewSeconds: number;
};

/** The pool id of the gateways that the fake broker serves. */
export const pool = 'pool-1';

/** A broker with real keys and tickets, and with every call of a gateway, which it remembers. */
export class FakeBroker {
  readonly behaviour: Behaviour = {
    isAway: false,
    lostAnswers: 0,
    lostCloses: 0,
    held: Promise.resolve(),
    refusal: undefined,
    grant: {},
    verdicts: [],
    bytesElsewhere: [],
    probes: [],
    lostReports: 0,
    clockSkewSeconds: 0,
  };
  readonly redemptions: RedeemRequest[] = [];
  readonly leases: LeaseRequest[] = [];
  readonly closes: ReportedClose[] = [];
  readonly probes: ProbeReport[] = [];
  readonly leaks: LeakReport[] = [];
  readonly rootJwk: PublicJwk;
  readonly #root = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  readonly #instance = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  readonly #spent = new Map<string, string>();
  readonly #handles = new Map<string, Permission>();
  readonly #happened = new EventEmitter();
  readonly #server: Server;

  constructor() {
    this.rootJwk = toPublicJwk(this.#root.publicKey);
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('not listening');
    return `http://127.0.0.1:${address.port}`;
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  /** The signing key that the root has endorsed for this broker; other roots and issuers make forgeries. */
  async signingKey(root = this.#root.privateKey, issuer = this.url): Promise<SigningKey> {
    const jwk = toPublicJwk(this.#instance.publicKey);
    const rootKey = {
      kid: toKid(this.rootJwk),
      publicJwk: this.rootJwk,
      sign: async (data: Buffer) => sign('sha256', data, { key: root, dsaEncoding: 'ieee-p1363' }),
    };
    const from = new Date(Date.now() - 60_000);
    const until = new Date(Date.now() + 3_600_000);
    const endorsement = await signEndorsement(rootKey, { jwk, issuer }, from, until);
    return { kid: toKid(jwk), privateKey: this.#instance.privateKey, endorsement };
  }

  async issueTicket(port: number, changes: Partial<Permission> = {}): Promise<string> {
    return signTicket(permit(port, changes), this.url, await this.signingKey());
  }

  issueHandle(port: number, changes: Partial<Permission> = {}): string {
    const handle = randomUUID().replaceAll('-', '').padEnd(43, 'h');
    this.#handles.set(handle, permit(port, changes));
    return handle;
  }

  /** Resolves when the next redemption has come, which may be held. */
  async nextRedemption(): Promise<void> {
    await once(this.#happened, 'redemption');
  }

  /** Resolves with the close of a session's connection, reported already or still to come. */
  async findClose(session: string): Promise<ReportedClose> {
    for (;;) {
      const found = this.closes.find((close) => close.session === session);
      if (found !== undefined) return found;
      await once(this.#happened, 'close');
    }
  }

  /** Resolves with the report of a session's probe, made already or still to come. */
  async findProbe(session: string): Promise<ProbeReport> {
    for (;;) {
      const found = this.probes.find((report) => report.session === session);
      if (found !== undefined) return found;
      await once(this.#happened, 'probe');
    }
  }

  /** Resolves with the next lease call for which the predicate holds. */
  async nextLease(isWanted: (lease: LeaseRequest) => boolean = () => true): Promise<LeaseRequest> {
    const calls: AsyncIterable<readonly LeaseRequest[]> = on(this.#happened, 'lease');
    for await (const [lease] of calls) if (lease !== undefined && isWanted(lease)) return lease;
    throw new Error('no lease came');
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.behaviour.isAway) {
      request.socket.destroy();
      return;
    }
    try {
      const answer = await this.#route(request);
      if (answer === 'lost') request.socket.destroy();
      else response.writeHead(answer === undefined ? 204 : 200).end(JSON.stringify(answer));
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      const problem = toProblem(error);
      response.writeHead(problem.status).end(JSON.stringify(problem));
    }
  }

  async #route(request: IncomingMessage): Promise<unknown> {
    const url = request.url ?? '';
    if (url === '/token') return this.#giveToken(new URLSearchParams(await text(request)));
    if (request.headers.authorization !== 'Bearer gateway-token')
      throw new BrokerError('token-invalid', 'Send the token of the gateway.');
    const body: unknown = await json(request);
    const [, connection] = /^\/api\/gateway\/connections\/([\w-]+)\/close$/.exec(url) ?? [];
    if (connection !== undefined) return this.#noteClose(connection, body);
    if (url === '/api/gateway/connections') return this.#redeem(redeemRequestShape.parse(body));
    if (url === '/api/gateway/probes') return this.#noteProbe(probeReportShape.parse(body));
    if (url === '/api/gateway/leaks') return this.#noteLeak(leakReportShape.parse(body));
    if (url === '/api/gateway/leases') return this.#renew(leaseRequestShape.parse(body));
    throw new BrokerError('not-found', url);
  }

  #giveToken(form: URLSearchParams): unknown {
    if (form.get('client_secret') !== 'gateway-secret')
      throw new BrokerError('token-invalid', 'Send the secret.');
    return { access_token: 'gateway-token', expires_in: 3600, token_type: 'Bearer' };
  }

  async #redeem(request: RedeemRequest): Promise<RedeemAnswer | 'lost'> {
    this.redemptions.push(request);
    this.#happened.emit('redemption');
    await this.behaviour.held;
    const permission = this.#findPermission(request.ticket);
    const nonce = this.#spent.get(permission.ticket) ?? request.nonce;
    this.#spent.set(permission.ticket, nonce);
    if (nonce !== request.nonce) throw new BrokerError('ticket-spent', 'Ask for a new one.');
    if (this.behaviour.lostAnswers > 0) {
      this.behaviour.lostAnswers -= 1;
      return 'lost';
    }
    if (this.behaviour.refusal !== undefined)
      throw new BrokerError(this.behaviour.refusal, 'As the test wants.');
    const { session, caller, protocol, host, port, deadline, terms } = permission;
    const granted = { connection: request.nonce, session, caller, protocol, host, port, terms };
    const times = { deadline: deadline.toISOString(), leaseSeconds: 0.2, graceSeconds: 20 };
    return { ...granted, ...times, ...this.behaviour.grant };
  }

  #findPermission(ticket: string): Permission {
    const verifier = { roots: toTrustedRoots([this.rootJwk]), issuer: this.url, gateway: pool };
    return this.#handles.get(ticket) ?? verifyTicket(ticket, verifier, new Date()).permission;
  }

  #renew(request: LeaseRequest): LeaseAnswer {
    this.leases.push(request);
    const { verdicts, bytesElsewhere, probes, clockSkewSeconds } = this.behaviour;
    this.behaviour.verdicts = [];
    const now = new Date(Date.now() + clockSkewSeconds * 1000).toISOString();
    this.#happened.emit('lease', request);
    return { cursor: `cursor-${this.leases.length}`, now, verdicts, bytesElsewhere, probes };
  }

  #noteProbe(report: ProbeReport): 'lost' | undefined {
    this.probes.push(report);
    this.#happened.emit('probe');
    return this.#isLost() ? 'lost' : undefined;
  }

  #noteLeak(leak: LeakReport): 'lost' | undefined {
    this.leaks.push(leak);
    this.#spent.set(this.#findPermission(leak.ticket).ticket, 'leaked');
    return this.#isLost() ? 'lost' : undefined;
  }

  #isLost(): boolean {
    if (this.behaviour.lostReports === 0) return false;
    this.behaviour.lostReports -= 1;
    return true;
  }

  #noteClose(connection: string, body: unknown): 'lost' | undefined {
    if (this.behaviour.lostCloses > 0) {
      this.behaviour.lostCloses -= 1;
      return 'lost';
    }
    this.closes.push({ connection, ...closeRequestShape.parse(body) });
    this.#happened.emit('close');
    return undefined;
  }
}

function permit(port: number, changes: Partial<Permission>): Permission {
  const now = Date.now();
  return {
    ticket: randomUUID(),
    session: randomUUID(),
    caller: 'tenant.ada',
    gateway: pool,
    target: '11111111-1111-4111-8111-111111111111',
    protocol: 'tcp',
    host: '127.0.0.1',
    port,
    deadline: new Date(now + 3_600_000),
    terms: {},
    policy: 'digest',
    issuedAt: new Date(now),
    expiresAt: new Date(now + 60_000),
    ...changes,
  };
}
