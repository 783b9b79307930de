import type { Broker, GatewayPool } from './broker.ts';
import type { Caller } from './caller.ts';
import { BrokerError } from './failure.ts';
import { requireRole } from './role.ts';

/** Fails with `role-missing` or `gateway-unknown` unless the caller is the workload that the operator named for the pool. */
export function requireGateway(broker: Broker, caller: Caller): GatewayPool {
  requireRole(caller, 'Gateway');
  if (caller.kind !== 'workload' || caller.id !== broker.gateway.caller)
    throw new BrokerError(
      'gateway-unknown',
      'Ask the operator to list this identity as a gateway.',
    );
  return broker.gateway;
}
