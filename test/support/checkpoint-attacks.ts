import type { Attack } from './forge-export.ts';
import { issuer } from './export-bench.ts';
import {
  dropCheckpoints,
  editCheckpoint,
  isCheckpoint,
  later,
  replaceCheckpoint,
} from './forge-export.ts';
import { testRoot } from './test-broker.ts';

// In the file, the last chain is the one that goes on from another.
const last = 3;

/** What is done to checkpoints, and to the file as a whole. */
export const checkpointAttacks: readonly Attack[] = [
  {
    name: 'an edited checkpoint',
    code: 'checkpoint-altered',
    at: { checkpoint: 2 },
    change: editCheckpoint(2, (line) => ({ ...line, b: line.b.replace('"seq":4', '"seq":2') })),
  },
  {
    name: 'a checkpoint signed anew with a foreign key',
    code: 'checkpoint-untrusted',
    at: { checkpoint: 2 },
    change: async (lines) => replaceCheckpoint(lines, testRoot(), 2, (body) => body),
  },
  {
    name: 'a checkpoint signed anew with a foreign key under the right name',
    code: 'checkpoint-untrusted',
    at: { checkpoint: 2 },
    change: async (lines, root) =>
      replaceCheckpoint(lines, { ...testRoot(), kid: root.kid }, 2, (body) => body),
  },
  {
    name: 'a deleted checkpoint',
    code: 'checkpoint-missing',
    at: { checkpoint: 2 },
    change: dropCheckpoints(2, 2),
  },
  {
    name: 'the first checkpoint deleted',
    code: 'checkpoint-missing',
    at: { checkpoint: 1 },
    change: dropCheckpoints(1, 1),
  },
  {
    name: 'two checkpoints swapped',
    code: 'checkpoint-misplaced',
    at: { checkpoint: 1 },
    change: (lines) => {
      const [first, second, ...others] = lines.filter(({ line }) => line === 'checkpoint');
      const swapped = [second, first, ...others];
      return lines.map((line) => (line.line === 'checkpoint' ? (swapped.shift() ?? line) : line));
    },
  },
  {
    name: 'two checkpoints with one number',
    code: 'checkpoint-forked',
    at: { checkpoint: 2 },
    change: async (lines, root) => {
      const forked = await replaceCheckpoint(lines, root, 2, later);
      const other = forked.find((line) => isCheckpoint(line, 2));
      return lines.flatMap((line) =>
        isCheckpoint(line, 2) && other !== undefined ? [line, other] : [line],
      );
    },
  },
  {
    name: 'a checkpoint of a fork',
    code: 'checkpoint-unlinked',
    at: { checkpoint: 3 },
    change: async (lines, root) => replaceCheckpoint(lines, root, 2, later),
  },
  {
    name: 'a checkpoint that seals another entry',
    code: 'entry-forked',
    at: { chain: last, sequence: 2 },
    change: async (lines, root) =>
      replaceCheckpoint(lines, root, 3, (body) =>
        body.replace(/("closed":false,"hash":")[^"]+/, `$1${'A'.repeat(43)}`),
      ),
  },
  {
    name: 'a checkpoint that counts wrongly',
    code: 'checkpoint-contradicts',
    at: { checkpoint: 3 },
    change: async (lines, root) =>
      replaceCheckpoint(lines, root, 3, (body) => body.replace(/"entries":\d+/, '"entries":99')),
  },
  {
    name: 'a checkpoint that is older than the one before',
    code: 'checkpoint-contradicts',
    at: { checkpoint: 3 },
    change: async (lines, root) =>
      replaceCheckpoint(lines, root, 3, (body) => body.replace('2026-03-03T', '2026-03-01T')),
  },
  {
    name: 'a checkpoint of another broker',
    code: 'checkpoint-contradicts',
    at: { checkpoint: 3 },
    change: async (lines, root) =>
      replaceCheckpoint(lines, root, 3, (body) => body.replace(issuer, 'https://other.test')),
  },
  {
    name: 'a file that was cut off',
    code: 'file-truncated',
    change: (lines) => lines.slice(0, -4),
  },
  {
    name: 'a checkpoint among the chains',
    code: 'file-malformed',
    change: (lines) => lines.toSpliced(-1, 0, ...lines.filter((line) => isCheckpoint(line, 1))),
  },
];
