import { writeBundle } from '../../lib/policy-bundle.ts';
import { type PolicyPointer, writePointer } from '../../lib/policy-pointer.ts';
import type { PolicyFile } from '../../lib/policy-scan.ts';
import type { PolicySource } from '../../lib/policy-source.ts';

/** A store of policy sets as its reader sees it, and what a publisher does to it. */
export type PolicyStore = {
  readonly source: PolicySource;
  /** Writes a blob by its name: `current`, or `bundles/<digest>.json`. */
  readonly write: (name: string, text: string) => Promise<void>;
  readonly remove: (name: string) => Promise<void>;
};

/** A store in memory, with every read that was answered in full; while `isAway` says so it answers nothing. */
export type MemoryPolicyStore = PolicyStore & { readonly reads: string[] };

export function memoryPolicyStore(isAway: () => boolean = () => false): MemoryPolicyStore {
  const blobs = new Map<string, { readonly etag: string; readonly text: string }>();
  const reads: string[] = [];
  let writes = 0;
  const read = (name: string) => {
    const blob = blobs.get(name);
    if (blob === undefined || isAway()) throw new Error(`${name} cannot be read`);
    return blob;
  };
  return {
    reads,
    source: {
      readPointer: async (etag) => {
        const blob = read('current');
        if (blob.etag === etag) return 'unchanged';
        reads.push('current');
        return blob;
      },
      readBundle: async (digest) => {
        const { text } = read(`bundles/${digest}.json`);
        reads.push(digest);
        return text;
      },
    },
    write: async (name, text) => {
      writes += 1;
      blobs.set(name, { etag: `"${writes}"`, text });
    },
    remove: async (name) => void blobs.delete(name),
  };
}

/** Makes a set of one file. */
export function toFiles(text: string): readonly PolicyFile[] {
  return [{ name: 'test.cedar', text }];
}

/** Sets to publish. The last two are not sound, and the last would break the engine that reads it. */
export const sets = {
  open: toFiles('@id("open") permit (principal, action, resource);\n'),
  shut: toFiles('@id("shut") forbid (principal, action, resource);\n'),
  faulty: toFiles('permit (principal, action, resource);\n'),
  hostile: toFiles(
    `@id("deep") permit (principal, action, resource) when { true${' && true'.repeat(1000)} };\n`,
  ),
} as const;

/** Changes members of a bundle or of a pointer. */
export function changeMembers(text: string, changes: object): string {
  const value: unknown = JSON.parse(text);
  return JSON.stringify(Object.assign({}, value, changes));
}

/** Publishes a set, the bundle first, and returns its digest. */
export async function publish(
  store: PolicyStore,
  files: readonly PolicyFile[],
  origin: Omit<PolicyPointer, 'digest'> = {},
): Promise<string> {
  const { digest, text } = writeBundle(files);
  await store.write(`bundles/${digest}.json`, text);
  await store.write('current', writePointer({ digest, ...origin }));
  return digest;
}
