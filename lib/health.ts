import type { z } from 'zod';
import type { Broker } from './broker.ts';
import type { healthShape } from './openapi.ts';

/** Tells whether the parts answer without which no session is granted. Writes nothing. */
export async function checkHealth(broker: Broker): Promise<z.infer<typeof healthShape>> {
  const [state, keys] = await Promise.all([
    check(broker, 'state', async () => broker.state.find('health', 'probe')),
    check(broker, 'keys', async () => broker.keys.current()),
  ]);
  const status = state === 'healthy' && keys === 'healthy' ? 'healthy' : 'unhealthy';
  return { status, checks: { state, keys } };
}

async function check(
  broker: Broker,
  part: string,
  probe: () => Promise<unknown>,
): Promise<'healthy' | 'unhealthy'> {
  try {
    await probe();
    return 'healthy';
  } catch (failure) {
    const reason = failure instanceof Error ? failure.message : 'not an error';
    broker.log('health.failed', { part, reason });
    return 'unhealthy';
  }
}
