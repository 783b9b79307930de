/** Why a connection ended, as the gateway saw it or as the broker ordered it. */
export const closeReasons = [
  'client-closed',
  'client-lost',
  'target-closed',
  'target-lost',
  'target-refused',
  'target-timeout',
  'bad-request',
  'ticket-invalid',
  'ticket-spent',
  'policy',
  'locked',
  'target-gone',
  'idle',
  'session-terminated',
  'session-deadline',
  'connection-limit',
  'byte-limit',
  'lease-lost',
  'gateway-drained',
  'gateway-failed',
  'gateway-lost',
] as const;

export type CloseReason = (typeof closeReasons)[number];

/**
 * The WebSocket close code of each reason: RFC 6455, section 7.4.1 for 1000 and 1001, the private range for ours.
 * `gateway-lost` is only ever written by the broker, about a gateway that stopped renewing its leases.
 */
export const closeCodes: Record<Exclude<CloseReason, 'gateway-lost'>, number> = {
  'client-closed': 1000,
  'client-lost': 1001,
  'target-closed': 1000,
  'target-lost': 4502,
  'target-refused': 4502,
  'target-timeout': 4504,
  'bad-request': 4400,
  'ticket-invalid': 4401,
  'ticket-spent': 4409,
  policy: 4403,
  locked: 4403,
  'target-gone': 4404,
  idle: 4408,
  'session-terminated': 4410,
  'session-deadline': 4410,
  'connection-limit': 4413,
  'byte-limit': 4413,
  'lease-lost': 4500,
  'gateway-drained': 4503,
  'gateway-failed': 4500,
};
