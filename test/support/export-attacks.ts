import { toCanonicalJson } from '../../lib/canonical-json.ts';
import { checkpointAttacks } from './checkpoint-attacks.ts';
import type { Attack, Lines } from './forge-export.ts';
import {
  addChain,
  appendEntry,
  dropChain,
  dropCheckpoints,
  dropEntries,
  editChain,
  editEntry,
  foreignJwk,
  insertBehind,
  isOf,
  lie,
  rehash,
  relink,
  resign,
  swapEntries,
  unsign,
} from './forge-export.ts';
import { testRoot } from './test-broker.ts';

// In the file the chain that died comes first, then the one that ends, then the one that goes on from that.
const died = 1;
const ended = 2;
const last = 3;

/** Each is named rightly by the verifier. */
export const attacks: readonly Attack[] = [
  {
    name: 'an edited entry',
    code: 'entry-altered',
    at: { chain: ended, sequence: 2 },
    change: editEntry(ended, 2, (entry) => ({ ...entry, b: lie(entry.b) })),
  },
  {
    name: 'an edited entry with its hash made anew',
    code: 'entry-unlinked',
    at: { chain: ended, sequence: 3 },
    change: editEntry(ended, 2, (entry) => rehash({ ...entry, b: lie(entry.b) })),
  },
  {
    name: 'an edited entry with all hashes after it made anew',
    code: 'entry-forged',
    at: { chain: ended, sequence: 3 },
    change: (lines) =>
      relink(editEntry(ended, 2, (entry) => ({ ...entry, b: lie(entry.b) }))(lines)),
  },
  {
    name: 'an edited entry signed with a foreign key under the right name',
    code: 'entry-forged',
    at: { chain: last, sequence: 5 },
    change: editEntry(last, 5, (entry) => ({
      ...resign(rehash({ ...entry, b: lie(entry.b) })),
      kid: entry.kid ?? '',
    })),
  },
  {
    name: 'an edited entry signed with a foreign key',
    code: 'entry-forged',
    at: { chain: last, sequence: 5 },
    change: editEntry(last, 5, (entry) => resign(rehash({ ...entry, b: lie(entry.b) }))),
  },
  {
    name: 'a deleted entry',
    code: 'entry-missing',
    at: { chain: ended, sequence: 3 },
    change: dropEntries(ended, 3, 3),
  },
  {
    name: 'a deleted beginning of a chain',
    code: 'entry-missing',
    at: { chain: ended, sequence: 1 },
    change: dropEntries(ended, 1, 2),
  },
  {
    name: 'two entries swapped',
    code: 'entry-misplaced',
    at: { chain: ended, sequence: 2 },
    change: swapEntries(ended, 2, 3),
  },
  {
    name: 'two entries swapped with their places',
    code: 'entry-moved',
    at: { chain: ended, sequence: 2 },
    change: (lines) =>
      swapEntries(
        ended,
        2,
        3,
      )(lines).map((line) =>
        line.line === 'entry' && isOf(lines, ended, line) && (line.seq === 2 || line.seq === 3)
          ? { ...line, seq: 5 - line.seq }
          : line,
      ),
  },
  {
    name: 'a chain cut below what is sealed',
    code: 'chain-truncated',
    at: { chain: died, sequence: 2 },
    change: dropEntries(died, 3, 4),
  },
  {
    name: 'a chain cut within its last batch',
    code: 'entry-unsigned',
    at: { chain: last, sequence: 3 },
    change: dropEntries(last, 4, 5),
  },
  {
    name: 'a chain without any entry',
    code: 'chain-truncated',
    at: { chain: died, sequence: 0 },
    change: dropEntries(died, 1, 4),
  },
  {
    name: 'a removed chain',
    code: 'chain-missing',
    at: { chain: died },
    change: dropChain(died),
  },
  {
    name: 'an unsealed chain removed that another one goes on from',
    code: 'chain-missing',
    at: { chain: ended },
    change: (lines) => dropChain(ended)(dropCheckpoints(1, 3)(lines)),
  },
  {
    name: 'an unsealed chain cut short that another one goes on from',
    code: 'chain-unlinked',
    at: { chain: ended, sequence: 7 },
    change: (lines) => dropEntries(ended, 5, 7)(dropCheckpoints(1, 3)(lines)),
  },
  {
    name: 'an unsigned entry appended after what is sealed',
    code: 'entry-unsigned',
    at: { chain: died, sequence: 5 },
    change: appendEntry(died, unsign),
  },
  {
    name: 'an entry appended after what is sealed, signed with a foreign key',
    code: 'entry-forged',
    at: { chain: died, sequence: 5 },
    change: appendEntry(died, resign),
  },
  {
    name: 'an entry appended to a chain that has ended',
    code: 'entry-after-end',
    at: { chain: ended, sequence: 8 },
    change: appendEntry(ended, resign),
  },
  {
    name: 'an entry that stands there twice',
    code: 'entry-misplaced',
    at: { chain: ended, sequence: 2 },
    change: insertBehind(ended, 2, (entry) => entry),
  },
  {
    name: 'another entry in the place of one',
    code: 'entry-forked',
    at: { chain: ended, sequence: 2 },
    change: insertBehind(ended, 2, (entry) => rehash({ ...entry, b: lie(entry.b) })),
  },
  {
    name: 'a chain under a foreign key',
    code: 'chain-untrusted',
    at: { chain: died },
    change: editChain(died, (line) => ({ ...line, key: toCanonicalJson(foreignJwk) })),
  },
  {
    name: 'a new chain that a foreign root vouches for',
    code: 'chain-untrusted',
    change: async (lines) => addChain(lines, testRoot(), 3600),
  },
  {
    name: 'a new chain whose key had expired',
    code: 'entry-out-of-time',
    change: async (lines, root) => addChain(lines, root, 60),
  },
  {
    name: 'an announcement that names another writer',
    code: 'chain-altered',
    at: { chain: died, sequence: 1 },
    change: editChain(died, (line) => ({ ...line, writer: 'writer-1' })),
  },
  {
    name: 'a chain that stands there twice',
    code: 'chain-misplaced',
    at: { chain: died },
    change: (lines) => {
      const chain = lines.filter((line) => isOf(lines, died, line));
      return lines.flatMap((line): Lines => (line.line === 'end' ? [...chain, line] : [line]));
    },
  },
  {
    name: 'a header that leaves out a day',
    code: 'chain-misplaced',
    at: { chain: last },
    change: (lines) =>
      lines.map((line) => (line.line === 'header' ? { ...line, to: line.from } : line)),
  },
  ...checkpointAttacks,
];
