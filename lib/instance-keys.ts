import { generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';
import type { Keys, Log } from './broker.ts';
import { signEndorsement } from './endorsement.ts';
import { BrokerError } from './failure.ts';
import { keyPartition, openKeyListing, removeExpiredKeys } from './key-listing.ts';
import type { RootKey, TrustedRoots } from './root-key.ts';
import { toKid, toPublicJwk } from './root-key.ts';
import type { Table } from './table.ts';
import type { SigningKey } from './endorsement.ts';

/** What the keys of a process are made from. */
export type InstanceKeySettings = {
  readonly root: RootKey;
  readonly trustedRoots: TrustedRoots;
  readonly state: Table;
  /** The public URL of the broker: an endorsement is for its tickets alone. */
  readonly issuer: string;
  readonly now: () => Date;
  readonly log: Log;
};

/** The key of this process; times in milliseconds since the epoch. */
type Held = { readonly key: SigningKey; readonly renewAt: number; readonly endsAt: number };

const lifeMilliseconds = 24 * 3_600_000;
const retryMilliseconds = 30_000;

// What is signed last must still verify when it is looked at: a ticket lives 90 s at most, and clocks differ.
const marginMilliseconds = 120_000;

// An endorsement begins a little before the first ticket under it, so that a clock which is behind refuses neither.
const skewMilliseconds = 5000;

const makePair = promisify(generateKeyPair);

/**
 * Opens the keys of this process: an EC P-256 key in memory, which the root key endorses for a day before its first use
 * and which is replaced at half that time. The private key is never stored, and ends with the process.
 */
export function openInstanceKeys(settings: InstanceKeySettings): Keys {
  const { root, trustedRoots: roots, now, log } = settings;
  const listing = openKeyListing(settings);
  let held: Held | undefined;
  let renewal: Promise<SigningKey> | undefined;
  let retryAt = 0;

  const renew = async (): Promise<SigningKey> => {
    renewal ??= endorseNewKey(settings)
      .then((next) => {
        held = next;
        removeExpiredKeys(settings).catch((failure: unknown) =>
          log('key-cleanup-failed', { failure }),
        );
        return next.key;
      })
      .finally(() => {
        renewal = undefined;
      });
    return renewal;
  };
  const renewAhead = (time: number): void => {
    if (time < retryAt) return;
    retryAt = time + retryMilliseconds;
    renew().catch((failure: unknown) => log('key-renewal-failed', { failure }));
  };
  return {
    root: { kid: root.kid, publicJwk: root.publicJwk },
    roots,
    current: async () => {
      const time = now().getTime();
      if (held === undefined || held.endsAt <= time) return renew();
      if (held.renewAt <= time) renewAhead(time);
      return held.key;
    },
    isListed: async (kid) => {
      const isListed = await listing.isListed(kid);
      // Withdrawn, or lost with the table: nobody would accept what this process signs from now on.
      if (!isListed && kid === held?.key.kid) held = undefined;
      return isListed;
    },
    list: async () =>
      (await listing.list()).map(({ kid, jwk, endorsement }) => {
        const { kty, crv, x, y } = jwk;
        return { kty, crv, x, y, kid, alg: 'ES256', use: 'sig', endorsement };
      }),
  };
}

async function endorseNewKey({ root, state, issuer, now }: InstanceKeySettings): Promise<Held> {
  try {
    const pair = await makePair('ec', { namedCurve: 'P-256' });
    const jwk = toPublicJwk(pair.publicKey);
    const kid = toKid(jwk);
    const time = now().getTime();
    const until = new Date(time + lifeMilliseconds);
    const from = new Date(time - skewMilliseconds);
    const endorsement = await signEndorsement(root, { jwk, issuer }, from, until);
    const expires = Math.floor(until.getTime() / 1000);
    // Listed before it is used, or a ticket could be redeemed before its key is known.
    await state.insert({ partition: keyPartition, row: kid, values: { endorsement, expires } });
    return {
      key: { kid, privateKey: pair.privateKey, endorsement },
      renewAt: time + lifeMilliseconds / 2,
      endsAt: time + lifeMilliseconds - marginMilliseconds,
    };
  } catch (cause) {
    throw new BrokerError('keys-unavailable', 'Try again in a few seconds.', {
      cause,
      retryAfterSeconds: 5,
    });
  }
}
