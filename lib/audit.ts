import type { Approval } from './approval.ts';
import type { CloseReason } from './close-reason.ts';
import type { DecisionInput } from './decision.ts';
import type { Delegation } from './delegation.ts';
import type { Outcome } from './explain-view.ts';
import type { FailureCode } from './failure.ts';
import type { Lock } from './lock.ts';
import type { Need } from './need.ts';
import type { Finding } from './policy-scan.ts';
import type { SessionRequest } from './session-request.ts';
import type { EndReason } from './session-view.ts';
import type { Table } from './table.ts';
import type { Protocol } from './target.ts';
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
      /** The person for whom the caller acts. */
      readonly onBehalfOf?: Actor;
      /** The delegation by which it does, where its token does not say so. */
      readonly delegation?: string;
      readonly app: string;
      readonly request: SessionRequest;
      readonly clientIp?: string;
    }
  | (DecisionFacts & { readonly type: 'session.allowed'; readonly terms: Terms })
  | (DecisionFacts & { readonly type: 'session.denied'; readonly advice: readonly string[] })
  | (DecisionFacts & {
      /** Policy would allow it if these needs were met. */
      readonly type: 'session.needs';
      readonly terms: Terms;
      readonly needs: readonly Need[];
    })
  | {
      /** A session, or its extension, waits for an approval. */
      readonly type: 'session.pending';
      readonly kind: Approval['kind'];
      readonly session: string;
      readonly caller: Actor;
      readonly onBehalfOf?: Actor;
      readonly target: { readonly id: string; readonly name: string };
      readonly protocol: Protocol;
      readonly port: number;
      readonly durationSeconds: number;
      readonly reason?: string;
      readonly change?: string;
      /** The digest of the exact request, which approvals name. */
      readonly request: string;
      readonly needs: Approval['needs'];
      readonly expiresAt: string;
    }
  | {
      readonly type: 'approval.decided';
      readonly session: string;
      readonly request: string;
      readonly by: Actor;
      readonly decision: 'approve' | 'deny';
      readonly durationSeconds?: number;
      readonly note?: string;
    }
  | {
      /** A decision of an approver that did not count, for example about one's own request. */
      readonly type: 'approval.refused';
      readonly session: string;
      readonly by: Actor;
      readonly code: FailureCode;
      /** How the approver and the one who asked are related, where that is the reason. */
      readonly relation?: string;
    }
  | {
      /** A session that had to wait may be used from now on. */
      readonly type: 'session.ready';
      readonly session: string;
      readonly caller: Actor;
      readonly deadline: string;
    }
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
      /** Gateways are told to see whether a port takes connections, for a session that is being made ready. */
      readonly type: 'probe.ordered';
      readonly session: string;
      readonly probe: string;
      readonly gateway: string;
      readonly host: string;
      readonly port: number;
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
      /** The first refusal of a minute, or of a day for starts, whose further ones are not recorded. */
      readonly type: 'budget.exceeded';
      readonly budget: 'caller' | 'target' | 'caller-starts' | 'target-starts';
      readonly caller: Actor;
      /** Of a target's budget: its id. The caller is then the one who met its end. */
      readonly target?: string;
    }
  | {
      /** A VM is about to be started for a session. */
      readonly type: 'target.started';
      readonly session: string;
      readonly caller: Actor;
      readonly target: string;
      readonly armId: string;
    }
  | {
      /** A VM that was started for a session is about to be deallocated, because nobody uses it any more. */
      readonly type: 'target.deallocated';
      readonly target: string;
      readonly armId: string;
      readonly quietSince: string;
    }
  | {
      /** Somebody asked what policy decides about somebody else. */
      readonly type: 'policy.explained';
      readonly caller: Actor;
      /** The caller id that was asked about, with facts that the asker gave. */
      readonly subject: string;
      /** For whom that one was said to act. */
      readonly onBehalfOf?: string;
      /** The id of the target, or what was asked for where there is none. */
      readonly target: string;
      readonly action: DecisionInput['action'];
      readonly port: number;
      readonly outcome: Outcome;
      readonly digest: string;
    }
  | {
      /** A proposed set was tried beside the one in force, and the answer told what flips. */
      readonly type: 'policy.simulated';
      readonly caller: Actor;
      /** The digest of the set in force. */
      readonly digest: string;
      /** The digest of the proposed set. */
      readonly proposed: string;
      readonly decided: number;
      readonly flipped: number;
      /** The time whose decisions were read; absent for cases alone. */
      readonly past?: { readonly from: string; readonly to: string };
    }
  | {
      /** A published set is about to be taken. Often one entry for all processes, and never none. */
      readonly type: 'policy.published';
      readonly digest: string;
      /** The name of its bundle, where that was made with another vocabulary and is not the digest. */
      readonly bundle?: string;
      /** What was in force in the process that recorded it. */
      readonly previous?: string;
      /** As the publisher says; it proves nothing. */
      readonly publishedBy?: string;
      readonly note?: string;
    }
  | {
      /** A published set was found faulty; the one before it stays in force. */
      readonly type: 'policy.rejected';
      /** The name of its bundle. */
      readonly digest: string;
      /** The first twenty. */
      readonly findings: readonly Finding[];
      readonly publishedBy?: string;
      readonly note?: string;
    }
  | {
      /** A workload may act for a person from now on. */
      readonly type: 'delegation.given';
      readonly delegation: Omit<Delegation, 'state' | 'requestDigest'>;
    }
  | {
      /** It may not any more; what is open is ended, each session with an entry of its own. */
      readonly type: 'delegation.revoked';
      readonly delegation: string;
      readonly by: Actor;
    }
  | {
      /** Somebody is about to read the audit log of these days as a whole. */
      readonly type: 'audit.exported';
      readonly caller: Actor;
      readonly from: string;
      readonly to: string;
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
