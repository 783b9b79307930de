import { decodeProtectedHeader, importJWK, jwtVerify } from 'jose';
import * as z from 'zod';
import type { PublicJwk } from '../../lib/root-key.ts';
import { publicJwkShape, toKid, toTrustedRoots } from '../../lib/root-key.ts';
import type { StoredRow } from '../../lib/table.ts';
import { verifyChains } from './audit-verifier.ts';
import { findCheckpointFaults, findEarlierFaults, findHeadFaults } from './checkpoint-verifier.ts';
import type { Line, Of } from './export-text.ts';
import { isExact, listFaults, readLines, toDay } from './export-text.ts';

// Written from docs/audit-format.md, and not from the code that verifies exports: it reads a file as a whole, checks
// signatures with another library, and finds all that is wrong in place of the first.

/** What is wrong with the text of an export by steps 1 to 16; empty when it is whole. */
export async function findExportFaults(
  text: string,
  roots: readonly PublicJwk[],
  anchor?: { readonly n: number; readonly hash: string },
): Promise<readonly string[]> {
  try {
    const lines = readLines(text);
    const [header] = lines;
    if (header?.line !== 'header') return ['there is no header'];
    const checkpoints = lines.filter((line) => line.line === 'checkpoint');
    const isAnchored = checkpoints.some(({ n, h }) => n === anchor?.n && h === anchor.hash);
    return [
      ...findDisorder(lines),
      ...(anchor === undefined || isAnchored ? [] : ['the anchor is missing']),
      ...(await findCheckpointFaults(checkpoints, header, roots)),
      ...findHeadFaults(lines, header),
      ...findEarlierFaults(lines, header),
      ...(await findAnnouncementFaults(lines, header, roots)),
      ...lines.flatMap((line) => (line.line === 'entry' ? findEntryFaults(lines, line) : [])),
      ...(await findChainFaults(lines, header, roots)),
    ];
  } catch (failure) {
    return [`it cannot be read: ${String(failure)}`];
  }
}

function findDisorder(lines: readonly Line[]): readonly string[] {
  const kinds = lines.map(({ line }) => line).join(' ');
  const chains = lines.filter((line) => line.line === 'chain').map(({ chain }) => chain);
  const end = lines.at(-1);
  const count = (kind: Line['line']) => lines.filter(({ line }) => line === kind).length;
  let current = '';
  const strays = lines.filter((line) => {
    if (line.line === 'chain') current = line.chain;
    return line.line === 'entry' && line.chain !== current;
  });
  const checks = {
    'the order of lines': !/^header( checkpoint)*( chain( entry)+)* end$/.test(kinds),
    'the order of chains': chains.some((chain, i) => chain <= (chains[i - 1] ?? '')),
    'an entry in another chain': strays.length > 0,
    'the counts':
      end?.line !== 'end' ||
      end.entries !== count('entry') ||
      end.checkpoints !== count('checkpoint') ||
      end.chains !== chains.length,
  };
  return listFaults('wrong:', checks);
}

async function findAnnouncementFaults(
  lines: readonly Line[],
  { issuer, from, to }: Of<'header'>,
  roots: readonly PublicJwk[],
): Promise<readonly string[]> {
  const faults: string[] = [];
  for (const line of lines.filter((one) => one.line === 'chain')) {
    const checks = {
      'is of another day': toDay(line.chain) < from || to < toDay(line.chain),
      'is not endorsed': !(await isEndorsed(line, issuer, roots)),
    };
    faults.push(...listFaults(line.chain, checks));
  }
  return faults;
}

const openingShape = z.looseObject({ type: z.string() });

function findEntryFaults(lines: readonly Line[], line: Of<'entry'>): readonly string[] {
  const { chain, seq, b, s } = line;
  const announced = lines.find((one) => one.line === 'chain' && one.chain === chain);
  const { type, writer, version } = openingShape.parse(JSON.parse(b));
  const isSame =
    announced?.line === 'chain' && writer === announced.writer && version === announced.version;
  return listFaults(`${chain}/${seq}`, {
    'has another writer': type === 'chain.opened' && !isSame,
    'is no text': !b.isWellFormed(),
    'has a loose signature': s !== undefined && !isExact(s),
  });
}

async function findChainFaults(
  lines: readonly Line[],
  { from }: Of<'header'>,
  roots: readonly PublicJwk[],
): Promise<readonly string[]> {
  const { faults } = await verifyChains(lines.flatMap(toRow), toTrustedRoots(roots));
  // A chain of an earlier day than the file's is not there.
  const first = from.replaceAll('-', '');
  return faults.filter((fault) => first <= (/ does not follow (\d{8})/.exec(fault)?.[1] ?? '9'));
}

function toRow(line: Line): readonly StoredRow[] {
  const etag = '';
  if (line.line === 'chain') {
    const { chain, writer, version, key, endorsement } = line;
    const values = { writer, version, key, endorsement };
    return [{ partition: `chains|${chain.slice(0, 8)}`, row: chain, values, etag }];
  }
  if (line.line !== 'entry') return [];
  const { chain, seq, b, h, s, kid } = line;
  const values = { b, h, ...(s === undefined ? {} : { s }), ...(kid === undefined ? {} : { kid }) };
  return [{ partition: chain, row: String(seq).padStart(12, '0'), values, etag }];
}

async function isEndorsed(
  { key, endorsement }: Of<'chain'>,
  issuer: string,
  roots: readonly PublicJwk[],
): Promise<boolean> {
  try {
    const { kid, typ } = decodeProtectedHeader(endorsement);
    const root = roots.find((jwk) => toKid(jwk) === kid);
    if (root === undefined || typ !== 'sallyport-endorsement+jwt') return false;
    if (!endorsement.split('.').every(isExact)) return false;
    const { payload } = await jwtVerify(endorsement, await importJWK(root, 'ES256'), {
      algorithms: ['ES256'],
      issuer,
      currentDate: new Date(0),
      clockTolerance: Number.MAX_SAFE_INTEGER,
    });
    const { crv, kty, x, y } = publicJwkShape.parse(payload['jwk']);
    return JSON.stringify({ crv, kty, x, y }) === key;
  } catch {
    return false;
  }
}
