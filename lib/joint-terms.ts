import { createNetworkRule } from './address.ts';
import type { Terms } from './terms.ts';
import { tightenTerms } from './tighten-terms.ts';

/**
 * Returns the terms under which a session respects two sets that were decided on apart: of every limit the lower, and
 * the networks that are in both; undefined when no network is. What must be met before the session begins is stated as
 * in `first` where the two differ, because whoever decides asks both; the name of a profile stays where it is that of both.
 */
export function toJointTerms(first: Terms, second: Terms): Terms | undefined {
  const { approval: _a, profile: _p, sourceNetworks: _s, ...limits } = tightenTerms(second, first);
  const approval = joinApprovals(first.approval, second.approval);
  const profile = findCommon(first.profile, second.profile);
  const networks = intersectNetworks(first.sourceNetworks, second.sourceNetworks);
  if (networks?.length === 0) return undefined;
  return {
    ...limits,
    ...(networks === undefined ? {} : { sourceNetworks: networks }),
    ...(approval === undefined ? {} : { approval }),
    ...(profile === undefined ? {} : { profile }),
  };
}

/** Returns the networks (CIDR) that are in one of each list; undefined stands for any address. */
export function intersectNetworks(
  first: readonly string[] | undefined,
  second: readonly string[] | undefined,
): string[] | undefined {
  if (first === undefined || second === undefined) return (first ?? second)?.slice();
  // Two ranges are apart, or one is within the other.
  const common = first.flatMap((one) =>
    second.flatMap((other) => {
      if (isWithin(one, other)) return [one];
      return isWithin(other, one) ? [other] : [];
    }),
  );
  return [...new Set(common)];
}

function isWithin(inner: string, outer: string): boolean {
  const [base = ''] = inner.split('/');
  return readPrefix(outer) <= readPrefix(inner) && createNetworkRule([outer])(base);
}

function readPrefix(network: string): number {
  return Number(network.split('/')[1]);
}

function joinApprovals(
  first: Terms['approval'],
  second: Terms['approval'],
): Terms['approval'] | undefined {
  if (first === undefined || second === undefined) return first ?? second;
  if (first.group !== second.group) return first;
  return { group: first.group, count: Math.max(first.count, second.count) };
}

/** Returns the value of both, or of the one that has any. */
function findCommon<T>(first: T | undefined, second: T | undefined): T | undefined {
  if (first === undefined || second === undefined) return first ?? second;
  return first === second ? first : undefined;
}
