import * as z from 'zod';

// The time for which a budget is stated, and for which one record of its excess speaks.
const minuteMilliseconds = 60_000;

// As far as the clocks of two brokers may be apart before health says so.
const skewMilliseconds = 30_000;

/** A token bucket as it is stored. Times are milliseconds since 1970. */
export const bucketShape = z.object({
  /** When it will be full again, if nobody draws. All else follows from it, so that an old row is simply a full bucket. */
  fullAt: z.int(),
  /** When its excess was last recorded; 0 when it never was. */
  recordedAt: z.int(),
});

export type Bucket = z.infer<typeof bucketShape>;

/** What comes of drawing tokens. */
export type Draw = {
  readonly bucket: Bucket;
  /** How many of the tokens were there; the rest is refused. */
  readonly admitted: number;
  /** When the next token will be there. */
  readonly nextAt: number;
  /** Whether something was refused, for the first time within a minute. */
  readonly isFirstRefusal: boolean;
};

/**
 * Draws up to `count` tokens from a bucket that holds `perMinute` and gets one back every 60 s / `perMinute` (rounded up
 * to a millisecond). So at most `perMinute` requests pass at once, and at most `perMinute` more in each minute that
 * follows; a fixed window would let twice as many through at once, at its edge.
 */
export function drawTokens(
  bucket: Bucket | undefined,
  count: number,
  perMinute: number,
  time: Date,
): Draw {
  const now = time.getTime();
  const interval = Math.ceil(minuteMilliseconds / perMinute);
  const capacity = interval * perMinute;
  const start = toStart(bucket?.fullAt ?? now, { now, interval, capacity });
  const tokens = Math.floor((now + capacity - start) / interval);
  const admitted = Math.min(count, Math.max(tokens, 0));
  const fullAt = start + admitted * interval;
  const recordedAt = bucket?.recordedAt ?? 0;
  const isFirstRefusal = admitted < count && !isWithinMinute(recordedAt, now);
  return {
    bucket: { fullAt, recordedAt: isFirstRefusal ? now : recordedAt },
    admitted,
    nextAt: fullAt + interval - capacity,
    isFirstRefusal,
  };
}

type Pace = { readonly now: number; readonly interval: number; readonly capacity: number };

// A bucket that is more than empty was drawn by a faster clock. Within the usual skew it is believed, so that brokers
// whose clocks differ share one budget; beyond, a clock has been put back, and the bucket holds one token: it is drawn,
// which brings the row back to this clock, and nobody waits longer than the skew.
function toStart(fullAt: number, { now, interval, capacity }: Pace): number {
  if (now + capacity + skewMilliseconds < fullAt) return now + capacity - interval;
  return Math.max(fullAt, now);
}

/** Whether two times lie within a minute of each other, whichever is first: clocks differ, and go back. */
export function isWithinMinute(one: number, other: number): boolean {
  return Math.abs(one - other) < minuteMilliseconds;
}
