import type { Audit } from './audit.ts';
import type { Budget } from './budget.ts';
import type { Caller } from './caller.ts';
import type { Policy } from './decision.ts';
import type { Health } from './health.ts';
import type { RootKey, TrustedRoots } from './root-key.ts';
import type { Table } from './table.ts';
import type { TargetSource } from './target.ts';
import type { SigningKey } from './ticket.ts';

/** A pool of gateways that share an id, an address and an identity. */
export type GatewayPool = {
  /** The audience of the tickets that it may redeem. */
  readonly id: string;
  /** The `wss:` URL of its front door. */
  readonly url: URL;
  /** The caller id of its workload identity; nobody else may redeem for it. */
  readonly caller: string;
};

/** The keys of this process and of its siblings. */
export type Keys = {
  readonly root: Pick<RootKey, 'kid' | 'publicJwk'>;
  readonly roots: TrustedRoots;
  /** Returns the key that signs now; endorsed, stored and listed before it is returned. */
  readonly current: () => Promise<SigningKey>;
  /** Whether a key is listed and has not been withdrawn; known within 30 s. */
  readonly isListed: (kid: string) => Promise<boolean>;
  /** Returns the public keys in force as JWKs (RFC 7517), each with its endorsement. */
  readonly list: () => Promise<readonly Readonly<Record<string, string>>[]>;
};

/** Numbers that an operator may set. */
export type Limits = {
  readonly sessionsPerCaller: number;
  /** How many sessions, tickets and extensions a caller may ask for at once, and in each minute after that. */
  readonly requestsPerCallerMinute: number;
  /** Likewise for all callers of one target together. */
  readonly requestsPerTargetMinute: number;
  /** No session lasts longer, whatever policy says. */
  readonly maxSessionSeconds: number;
  readonly maxConnections: number;
  readonly leaseSeconds: number;
  /** How long a connection outlives the last renewal of its lease. */
  readonly graceSeconds: number;
};

/** One line of the operator's log: an event name and plain values. No ticket, token or key may be in it. */
export type Log = (event: string, facts?: Readonly<Record<string, unknown>>) => void;

/** All that the use cases need. Every use case takes it as its first parameter. */
export type Broker = {
  /** The public URL: the issuer of tickets, and the base of every link. */
  readonly url: URL;
  readonly gateway: GatewayPool;
  readonly limits: Limits;
  /** How many proxies in front are trusted to tell the client's address. */
  readonly proxyHops: number;
  /** Where people sign in, as the discovery document tells clients. */
  readonly login?: { readonly issuer: string; readonly clientId: string; readonly scope: string };
  /** The issuers whose tokens are believed, and the audience each token must be for. */
  readonly issuers: readonly { readonly issuer: string; readonly audience: readonly string[] }[];
  /** Returns the caller that a bearer token proves, or fails with `token-…` or `issuer-unavailable`. */
  readonly identify: (token: string) => Promise<Caller>;
  readonly policy: Policy;
  readonly audit: Audit;
  readonly state: Table;
  readonly budget: Budget;
  readonly targets: TargetSource;
  readonly keys: Keys;
  /** Whether the operator lets the gateways dial this canonical address. */
  readonly mayDial: (host: string) => boolean;
  /** Tells whether a session could be granted now. */
  readonly health: () => Promise<Health>;
  readonly newId: () => string;
  readonly now: () => Date;
  readonly log: Log;
};
