import type { Target, TargetSource } from './target.ts';

/**
 * Makes one source of several. They are asked in order: the first that has a target describes it, in lists too. A
 * source that fails before that fails the call, because a target that it hides is not a target that does not exist.
 */
export function joinTargetSources(sources: readonly TargetSource[]): TargetSource {
  const givers = new WeakMap<Target, TargetSource>();
  const findIn = async (source: TargetSource, ...asked: Parameters<TargetSource['find']>) => {
    const target = await source.find(...asked);
    if (target !== undefined) givers.set(target, source);
    return target;
  };
  const listOf = async (source: TargetSource, signal: AbortSignal) => {
    const targets = await source.list(signal);
    for (const target of targets) givers.set(target, source);
    return targets;
  };
  return {
    find: async (reference, signal) => {
      for (const source of sources) {
        const target = await findIn(source, reference, signal);
        if (target !== undefined) return target;
      }
      return undefined;
    },
    findHost: async (target, signal) => {
      // Two sources may know the id: only the one whose facts policy has seen may name the address.
      const giver = givers.get(target);
      if (giver === undefined) throw new Error('none of the sources gave this target');
      return giver.findHost(target, signal);
    },
    list: async (signal) => {
      const lists = await Promise.all(sources.map(async (source) => listOf(source, signal)));
      return dropRepeated(lists.flat());
    },
  };
}

function dropRepeated(targets: readonly Target[]): readonly Target[] {
  const first = new Map<string, Target>();
  for (const target of targets) if (!first.has(target.id)) first.set(target.id, target);
  return [...first.values()];
}
