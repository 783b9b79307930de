import type { TrustedRoots } from '../lib/root-key.ts';
import type { AddressLimit } from './address-limit.ts';
import type { BrokerClient } from './broker-client.ts';
import type { Capacity } from './capacity.ts';
import type { Leases } from './leases.ts';
import type { Log } from './log.ts';

/** All that the front ends need. */
export type Gateway = {
  /** The id of the pool: the audience of its tickets. */
  readonly id: string;
  /** The issuer of its tickets. */
  readonly issuer: string;
  readonly roots: () => TrustedRoots;
  readonly mayDial: (host: string) => boolean;
  readonly allowedOrigins: readonly string[];
  readonly broker: Pick<BrokerClient, 'redeem'>;
  readonly leases: Leases;
  /** Counts connections, by caller. */
  readonly capacity: Capacity;
  /** Counts the handles that are being redeemed, by the address of the client. */
  readonly handles: Capacity;
  readonly addresses: AddressLimit;
  readonly isDraining: () => boolean;
  readonly log: Log;
};
