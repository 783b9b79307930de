import type { LeaseAnswer, LeaseRequest, RedeemAnswer } from '../lib/gateway-call.ts';
import type { BrokerClient } from './broker-client.ts';
import { ByteLimits } from './byte-limits.ts';
import { CloseReports } from './close-reports.ts';
import { Connection } from './connection.ts';
import type { Ending } from './connection.ts';
import { describeError } from './log.ts';
import type { Log } from './log.ts';

/** Whether new connections can be served: tickets cannot be judged by a clock that is off. */
export type Health = 'ready' | 'broker-unavailable' | 'clock-skewed';

type Lease = LeaseRequest['connections'][number];

// Before the first redemption nothing says how long a lease is.
const idleLeaseSeconds = 15;
const retrySeconds = 2;
const maxLeasesPerCall = 10_000;
const loggedSkewSeconds = 5;
const maxSkewSeconds = 30;

/**
 * All connections of this process, and their leases: one call renews them all and brings the broker's verdicts.
 * Every connection that was opened here is reported when it has ended, as soon as the broker can be reached.
 */
export class Leases {
  readonly #broker: Pick<BrokerClient, 'renew' | 'close'>;
  readonly #instance: string;
  readonly #log: Log;
  readonly #reports: CloseReports;
  readonly #takeProbes: (tokens: readonly string[]) => void;
  readonly #live = new Map<string, Connection>();
  readonly #limits = new ByteLimits();
  #leaseSeconds = idleLeaseSeconds;
  #cursor: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #state: 'waiting' | 'renewing' | 'stopped' = 'waiting';
  #isReachable: boolean | undefined;
  #skewSeconds = 0;
  #cutReason: Ending | undefined;

  /** Orders of probes come with the leases, and are handed on. */
  constructor(
    broker: Pick<BrokerClient, 'renew' | 'close'>,
    instance: string,
    log: Log,
    takeProbes: (tokens: readonly string[]) => void,
  ) {
    this.#broker = broker;
    this.#instance = instance;
    this.#log = log;
    this.#takeProbes = takeProbes;
    this.#reports = new CloseReports(broker.close, log);
  }

  get health(): Health {
    if (this.isClockSkewed) return 'clock-skewed';
    return this.#isReachable === true ? 'ready' : 'broker-unavailable';
  }

  /** Whether the clocks of this machine and of the broker differ by more than 30 s. */
  get isClockSkewed(): boolean {
    return Math.abs(this.#skewSeconds) > maxSkewSeconds;
  }

  /** Adds a connection that the broker has granted. Whoever opens it must see to it that it ends. */
  open(grant: RedeemAnswer): Connection {
    const connection = new Connection(grant, this.#limits.find(grant));
    this.#live.set(grant.connection, connection);
    void connection.ended.then((reason) => this.#close(connection, reason));
    const isShorter = grant.leaseSeconds < this.#leaseSeconds;
    this.#leaseSeconds = grant.leaseSeconds;
    if (this.#cutReason !== undefined) connection.cut(this.#cutReason);
    if (isShorter && this.#state === 'waiting') this.#schedule(grant.leaseSeconds);
    return connection;
  }

  /** Renews all leases, and again whenever they are due, until it is stopped. Never rejects. */
  async renew(): Promise<void> {
    if (this.#state !== 'waiting') return;
    this.#state = 'renewing';
    void this.#reports.flush();
    await this.#renewOnce();
    if (this.#isStopped()) return;
    this.#state = 'waiting';
    const seconds = this.#leaseSeconds;
    this.#schedule(this.#isReachable === true ? seconds : Math.min(retrySeconds, seconds));
  }

  /** Orders all connections to end, and those that are granted later too. */
  cutAll(reason: Ending): void {
    this.#cutReason = reason;
    for (const connection of this.#live.values()) connection.cut(reason);
  }

  /** Stops renewing, and tries once more to report what has ended. */
  async stop(): Promise<void> {
    this.#state = 'stopped';
    clearTimeout(this.#timer);
    await this.#reports.flush();
    await this.#reports.flush();
  }

  #isStopped(): boolean {
    return this.#state === 'stopped';
  }

  #schedule(seconds: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.renew(), seconds * 1000);
  }

  #close(connection: Connection, reason: Ending): void {
    const id = connection.grant.connection;
    const report = connection.toReport(reason, this.#instance);
    this.#live.delete(id);
    this.#reports.add(id, report);
    const { session, bytesUp, bytesDown, durationMilliseconds } = report;
    const facts = { connection: id, session, reason, bytesUp, bytesDown, durationMilliseconds };
    this.#log('connection-closed', facts);
  }

  async #renewOnce(): Promise<void> {
    const renewed = [...this.#live.values()];
    const sentAt = Date.now();
    try {
      const answer = await this.#broker.renew({
        ...(this.#cursor === undefined ? {} : { cursor: this.#cursor }),
        connections: this.#toLeases(renewed),
      });
      this.#cursor = answer.cursor;
      this.#noteReachable(true);
      this.#noteClock(new Date(answer.now), (sentAt + Date.now()) / 2);
      for (const connection of renewed) connection.renew();
      this.#obey(answer);
    } catch (error) {
      this.#noteReachable(false, { cause: describeError(error) });
    }
  }

  // A connection is named until its close has been confirmed: the broker would take one that is missing for lost.
  #toLeases(renewed: readonly Connection[]): Lease[] {
    const live = renewed.map(({ grant, bytesUp, bytesDown }) => ({
      connection: grant.connection,
      session: grant.session,
      bytesUp,
      bytesDown,
    }));
    const ended = [...this.#reports.waiting].map(([connection, report]) => ({
      connection,
      session: report.session,
      bytesUp: report.bytesUp,
      bytesDown: report.bytesDown,
    }));
    return [...live, ...ended].slice(0, maxLeasesPerCall);
  }

  #obey({ verdicts, bytesElsewhere, probes }: LeaseAnswer): void {
    for (const order of verdicts) {
      const connection = this.#live.get(order.connection);
      if (order.verdict === 'close') connection?.cut(order.reason);
      else connection?.setDeadline(new Date(order.deadline));
    }
    this.#limits.note(bytesElsewhere);
    this.#limits.sweep(new Set([...this.#reports.waiting.values()].map(({ session }) => session)));
    this.#takeProbes(probes);
  }

  #noteReachable(isReachable: boolean, facts: Readonly<Record<string, unknown>> = {}): void {
    if (isReachable === this.#isReachable) return;
    this.#isReachable = isReachable;
    this.#log(isReachable ? 'broker-reached' : 'broker-unavailable', facts);
  }

  #noteClock(brokerNow: Date, localMilliseconds: number): void {
    this.#skewSeconds = Math.round((brokerNow.getTime() - localMilliseconds) / 1000);
    if (Math.abs(this.#skewSeconds) > loggedSkewSeconds)
      this.#log('clock-skewed', { seconds: this.#skewSeconds });
  }
}
