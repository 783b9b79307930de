import type { TokenVerifier } from '../lib/endorsed-token.ts';
import type { AddressLimit } from './address-limit.ts';
import type { BrokerClient } from './broker-client.ts';
import type { Capacity } from './capacity.ts';
import type { Leaks } from './leaks.ts';
import type { Leases } from './leases.ts';
import type { Log } from './log.ts';

/** All that the front ends need. */
export type Gateway = {
  /** Whose tickets it takes: those of its broker for its pool, under the root keys that are trusted now. */
  readonly verifier: () => TokenVerifier;
  readonly mayDial: (host: string) => boolean;
  readonly allowedOrigins: readonly string[];
  readonly broker: Pick<BrokerClient, 'redeem'>;
  readonly leases: Leases;
  readonly leaks: Pick<Leaks, 'refuse'>;
  /** Counts connections, by caller. */
  readonly capacity: Capacity;
  /** Counts the handles that are being redeemed, by the address of the client. */
  readonly handles: Capacity;
  readonly addresses: AddressLimit;
  readonly isDraining: () => boolean;
  readonly log: Log;
};
