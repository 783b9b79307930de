import type { Audit } from './audit.ts';
import type { Budget } from './budget.ts';
import type { Caller } from './caller.ts';
import type { CheckpointLog } from './checkpoint-log.ts';
import type { Policy } from './decision.ts';
import type { Notices } from './deliver-notices.ts';
import type { Health } from './health.ts';
import type { Power } from './power.ts';
import type { Kinship } from './relation.ts';
import type { RootKey, TrustedRoots } from './root-key.ts';
import type { Table } from './table.ts';
import type { TargetSource } from './target.ts';
import type { SigningKey } from './endorsement.ts';

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
  /** How many sessions, tickets, extensions and policy decisions a caller may ask for at once, and in each minute after that. */
  readonly requestsPerCallerMinute: number;
  /** Likewise for all callers of one target together. */
  readonly requestsPerTargetMinute: number;
  /** How many VMs a caller may have started on one UTC day. */
  readonly startsPerCallerDay: number;
  /** How often a target may be started on one UTC day, for all callers together. */
  readonly startsPerTargetDay: number;
  /** After how many minutes without a session a VM is deallocated that was started for one; 0 for never. */
  readonly deallocateAfterMinutes: number;
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
  /** Who belongs to whom, so that nobody approves their own request. */
  readonly kinship: Kinship;
  /** Looks now whether another policy set is published, and takes it. Never fails. */
  readonly refreshPolicy: () => Promise<void>;
  readonly audit: Audit;
  /** The index of the audit log, to read only, and its checkpoints; absent where the log is not queried. */
  readonly auditIndex?: {
    readonly table: Pick<Table, 'list'>;
    readonly checkpoints: CheckpointLog;
  };
  readonly state: Table;
  readonly budget: Budget;
  /** Runs a simulation of policies, or fails with `rate-limited` while this process runs as many as it bears. */
  readonly admitSimulation: <T>(simulate: () => Promise<T>) => Promise<T>;
  readonly targets: TargetSource;
  /** What starts and stops targets; absent where no source can. */
  readonly power?: Power;
  /** Who is told what happens; absent where nobody is. */
  readonly notices?: Notices;
  readonly keys: Keys;
  /** Whether the operator lets the gateways dial this canonical address. */
  readonly mayDial: (host: string) => boolean;
  /** Tells whether a session could be granted now. */
  readonly health: () => Promise<Health>;
  readonly newId: () => string;
  readonly now: () => Date;
  readonly log: Log;
};
