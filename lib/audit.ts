import type { CloseReason } from './close-reason.ts';
import type { DecisionInput } from './decision.ts';
import type { FailureCode } from './failure.ts';
import type { Lock } from './lock.ts';
import type { SessionRequest } from './session-request.ts';
import type { EndReason } from './session-view.ts';
import type { Table } from './table.ts';
import type { Terms } from './terms.ts';

/** Who did it: an id that is compared and a name that is shown. */
export type Actor = { readonly id: string; readonly name: string };

type DecisionFacts = {
  readonly session: string;
  readonly policies: readonly string[];
  readonly digest: string;
  /** The whole input of the decision, so that anyone can decide again. */
  readonly input: DecisionInput;
};

/** What is recorded. One entry holds one event; `audit-chain.ts` adds time, position and hash. */
export type AuditEvent =
  | {
      readonly type: 'session.requested';
      readonly session: string;
      readonly caller: Actor;
      readonly app: string;
      readonly request: SessionRequest;
      readonly clientIp?: string;
    }
  | (DecisionFacts & { readonly type: 'session.allowed'; readonly terms: Terms })
  | (DecisionFacts & { readonly type: 'session.denied'; readonly advice: readonly string[] })
  | {
      /** Refused for another reason than policy, for example a stopped VM. */
      readonly type: 'session.refused';
      readonly session: string;
      readonly caller: Actor;
      readonly code: FailureCode;
    }
  | {
      /** A request met a session that the same request had made: its ticket was not handed out. */
      readonly type: 'session.repeated';
      readonly session: string;
      readonly caller: Actor;
    }
  | {
      readonly type: 'ticket.issued';
      readonly session: string;
      readonly caller: Actor;
      readonly ticket: string;
      readonly form: 'jwt' | 'handle';
      readonly kid: string;
      readonly gateway: string;
      readonly target: string;
      readonly host: string;
      readonly port: number;
      readonly expiresAt: string;
    }
  | {
      readonly type: 'ticket.refused';
      readonly gateway: string;
      readonly code: FailureCode;
      readonly session?: string;
      readonly ticket?: string;
      readonly clientIp?: string;
    }
  | {
      readonly type: 'ticket.redeemed';
      readonly session: string;
      readonly ticket: string;
      readonly connection: string;
      readonly gateway: string;
      readonly instance: string;
    }
  | {
      readonly type: 'connection.opened';
      readonly session: string;
      readonly connection: string;
      readonly gateway: string;
      readonly instance: string;
      readonly host: string;
      readonly port: number;
      readonly clientIp?: string;
    }
  | {
      readonly type: 'connection.closed';
      readonly session: string;
      readonly connection: string;
      readonly gateway: string;
      readonly instance: string;
      readonly reason: CloseReason;
      /** As last reported; those of a lost gateway are as of its last lease. */
      readonly bytesUp: number;
      readonly bytesDown: number;
      readonly durationMilliseconds: number;
    }
  | {
      /** The first refusal of a minute, whose further ones are not recorded. */
      readonly type: 'budget.exceeded';
      readonly budget: 'caller' | 'target';
      readonly caller: Actor;
      /** Of a target's budget: its id. The caller is then the one who met its end. */
      readonly target?: string;
    }
  | {
      readonly type: 'lock.set';
      readonly lock: Lock;
    }
  | {
      readonly type: 'lock.lifted';
      readonly lock: string;
      readonly by: Actor;
    }
  | {
      readonly type: 'session.extended';
      readonly session: string;
      readonly by: Actor;
      readonly deadline: string;
    }
  | {
      readonly type: 'session.ended';
      readonly session: string;
      readonly endReason: EndReason;
      readonly by?: Actor;
    };

/** Where an entry stands: its chain, its place in it, and its hash (base64url SHA-256). */
export type Receipt = { readonly chain: string; readonly sequence: number; readonly hash: string };

/** The audit log. */
export type Audit = {
  /**
   * Records the events in order. They are durable once the promise has resolved; when it rejects
   * (`audit-unavailable`) they may or may not have been stored, and what they announce must not happen.
   */
  readonly append: (events: readonly AuditEvent[]) => Promise<readonly Receipt[]>;
  /** Lists rows of the audit table, unverified; absent where the log cannot be read back. */
  readonly list?: Table['list'];
};
