import type { Caller, Role } from './caller.ts';
import { BrokerError } from './failure.ts';

/** Whether the caller holds the role. */
export function hasRole(caller: Caller, role: Role): boolean {
  return caller.roles.includes(role);
}

/** Fails with `role-missing` unless the caller holds the role. */
export function requireRole(caller: Caller, role: Role): void {
  if (!hasRole(caller, role))
    throw new BrokerError(
      'role-missing',
      `Ask the operator to assign the application role ${role} to you, then sign in again.`,
    );
}
