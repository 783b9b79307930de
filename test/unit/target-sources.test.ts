import { describe, expect, test } from 'vitest';
import { joinTargetSources } from '../../lib/target-sources.ts';
import type { Target, TargetSource } from '../../lib/target.ts';

const signal = new AbortController().signal;
const web = '2f1b0000-0000-4000-8000-00000000bb5a';
const database = '2f1b0000-0000-4000-8000-00000000f86d';

function target(id: string, name: string): Target {
  return {
    id,
    name,
    source: 'inventory',
    subscription: 'inventory',
    resourceGroup: 'default',
    os: 'linux',
    power: 'running',
    tags: {},
    services: [],
  };
}

/** A source of targets whose hosts carry the name of the source. */
function source(name: string, ids: readonly string[]): TargetSource {
  const targets = ids.map((id) => target(id, name));
  return {
    find: async (reference) =>
      targets.find(({ id }) => reference.kind === 'id' && id === reference.id),
    findHost: async () => `host in ${name}`,
    list: async () => targets,
  };
}

const broken: TargetSource = {
  find: async () => Promise.reject(new Error('the source is down')),
  findHost: async () => Promise.reject(new Error('the source is down')),
  list: async () => Promise.reject(new Error('the source is down')),
};

const refer = (id: string) => ({ kind: 'id', id }) as const;

describe('joinTargetSources', () => {
  test('finds a target in whichever source has it', async () => {
    const joined = joinTargetSources([source('a', [web]), source('b', [database])]);
    expect(await joined.find(refer(database), signal)).toMatchObject({ name: 'b' });
    expect(await joined.find(refer('other'), signal)).toBeUndefined();
  });

  test('lets the first source describe a target that two have, found or listed', async () => {
    const joined = joinTargetSources([source('a', [web]), source('b', [web, database])]);
    expect(await joined.find(refer(web), signal)).toMatchObject({ name: 'a' });
    const listed = await joined.list(signal);
    expect(listed.map(({ id, name }) => [id, name])).toEqual([
      [web, 'a'],
      [database, 'b'],
    ]);
  });

  // Policy decided on the facts of one source: the address must not come from another one.
  test('asks only the source that gave a target for its address', async () => {
    const joined = joinTargetSources([source('a', []), source('b', [web])]);
    const found = await joined.find(refer(web), signal);
    expect(found && (await joined.findHost(found, signal))).toBe('host in b');
    const other = joinTargetSources([source('a', []), source('b', [web])]);
    const [listed] = await other.list(signal);
    expect(listed && (await other.findHost(listed, signal))).toBe('host in b');
    await expect(joined.findHost(target(web, 'forged'), signal)).rejects.toThrow('none of');
  });

  // Fail closed: "not found" must mean that nobody has it.
  test('fails when a source fails before the target is found', async () => {
    const joined = joinTargetSources([broken, source('b', [web])]);
    await expect(joined.find(refer(web), signal)).rejects.toThrow('the source is down');
    await expect(joined.list(signal)).rejects.toThrow('the source is down');
  });

  test('does not ask a later source for what an earlier one has', async () => {
    const joined = joinTargetSources([source('a', [web]), broken]);
    expect(await joined.find(refer(web), signal)).toMatchObject({ name: 'a' });
    await expect(joined.find(refer(database), signal)).rejects.toThrow('the source is down');
  });
});
