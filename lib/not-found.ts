import { BrokerError } from './failure.ts';

/** Returns the one answer for what is absent and for what the caller may not see. */
export function toNotFound(): BrokerError {
  return new BrokerError('not-found', 'There is no such thing, or you may not see it.');
}
