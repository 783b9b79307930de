/** A policy set of some size, and a request that one policy in its middle decides. */
export type BenchSet = {
  readonly text: string;
  /** The id of the policy that permits the request. */
  readonly id: string;
  readonly group: string;
  readonly environment: string;
};

/**
 * Makes a set as a grown one is: a team and an environment for each permit, and a guard among every ten. More than 1,000
 * policies would be more than a set may hold.
 */
export function makePolicySet(count: number): BenchSet {
  const number = count >> 1;
  return {
    text: writePolicies(count),
    id: toPolicyId(number),
    group: toGroup(number),
    environment: toEnvironment(number),
  };
}

function writePolicies(count: number): string {
  return Array.from({ length: count }, (_, number) =>
    number % 10 === 9 ? writeGuard(number) : writePermit(number),
  ).join('\n');
}

function writePermit(number: number): string {
  return `@id("${toPolicyId(number)}") @max_duration("1h")
permit (principal in Group::"${toGroup(number)}", action in Action::"connect", resource)
when { resource.hasTag("env") && resource.getTag("env") == "${toEnvironment(number)}" };`;
}

function writeGuard(number: number): string {
  return `@id("${toPolicyId(number)}") @advice("Ask its owner.")
forbid (principal, action in Action::"connect", resource)
when { resource.hasTag("lock") && resource.getTag("lock") == "${toEnvironment(number)}" };`;
}

function toPolicyId(number: number): string {
  return `bench-${String(number)}`;
}

function toEnvironment(number: number): string {
  return `team-${String(number)}`;
}

function toGroup(number: number): string {
  return `be4c0000-0000-4000-8000-${String(number).padStart(12, '0')}`;
}
