import type { z } from 'zod';
import type { Log } from './broker.ts';
import type { healthShape } from './openapi.ts';

/** Whether the parts answer without which no session is granted, and which do. */
export type Health = z.infer<typeof healthShape>;

/**
 * What is looked at, by name. A part is healthy when its probe resolves, and unhealthy or degraded when it rejects; a probe
 * writes nothing.
 */
export type Probes = Readonly<Record<string, () => Promise<unknown>>>;

/** Says that a part does less than it should, and that sessions can be granted all the same. */
export class Degraded extends Error {
  override readonly name = 'Degraded';
}

// Anybody may ask, and asking should cost little.
const freshMilliseconds = 5_000;

/** Returns what tells the health, at most five seconds old. */
export function createHealthCheck(
  probes: Probes,
  now: () => Date,
  log: Log,
): () => Promise<Health> {
  let last: { readonly at: number; readonly health: Promise<Health> } | undefined;
  return async () => {
    const at = now().getTime();
    if (last === undefined || at < last.at || last.at + freshMilliseconds <= at)
      last = { at, health: checkAll(probes, log) };
    return last.health;
  };
}

async function checkAll(probes: Probes, log: Log): Promise<Health> {
  const parts = await Promise.all(
    Object.entries(probes).map(
      async ([part, probe]) => [part, await check(part, probe, log)] as const,
    ),
  );
  const states = new Set(parts.map(([, state]) => state));
  const worst = (['unhealthy', 'degraded'] as const).find((state) => states.has(state));
  return { status: worst ?? 'healthy', checks: Object.fromEntries(parts) };
}

async function check(
  part: string,
  probe: () => Promise<unknown>,
  log: Log,
): Promise<Health['status']> {
  try {
    await probe();
    return 'healthy';
  } catch (failure) {
    log('health.failed', { part, failure });
    return failure instanceof Degraded ? 'degraded' : 'unhealthy';
  }
}
