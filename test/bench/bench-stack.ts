import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SignJWT, importJWK } from 'jose';
import { openTable } from '../../lib/azure/table.ts';
import type { Table } from '../../lib/table.ts';
import type { DemoCaller } from '../../local/demo-callers.ts';
import { audience, demoCallers, toClaims } from '../../local/demo-callers.ts';
import { choosePort } from '../../local/free-port.ts';
import { ensureSigningKey } from '../../local/issuer-files.ts';
import type { Program } from '../../local/program.ts';
import { startProgram } from '../../local/program.ts';
import type { Stack } from '../../local/stack.ts';
import { startStack } from '../../local/stack.ts';
import { startBannerServer } from './banner-server.ts';

/** The built broker and gateway over tables in a process of their own, and a target behind them. */
export type BenchStack = Pick<Stack, 'url' | 'caFile' | 'startBroker'> & {
  /** For what a part needs besides; removed at the end. */
  readonly folder: string;
  readonly broker: Program;
  readonly tables: Program;
  /** Opens one of the tables of the stack. */
  readonly openTable: (name: string) => Table;
  /** The access tokens of different people, each of whom may open a session. */
  readonly tokens: readonly string[];
  /** The access token of one who may read policy. */
  readonly readerToken: string;
  readonly rootKeyFile: string;
  /** What they ask for. */
  readonly wish: { readonly target: string; readonly protocol: 'ssh'; readonly port: number };
  /** The ids of all sessions that were granted: `checkAudit` looks for each. */
  readonly granted: string[];
  /** The last lines that the programs wrote. */
  readonly lines: readonly string[];
  /** Adds what `close` has to end, last added first. */
  readonly closeLater: (end: () => Promise<unknown>) => void;
  readonly close: () => Promise<void>;
};

// Enough that no limit of one person is met, and that a caller's partition stays as small as in use.
const callerCount = 400;

const targetId = '7a59e700-0000-4000-8000-0000000000be';

/** Starts everything on loopback, in a folder that `close` removes. */
export async function startBenchStack(): Promise<BenchStack> {
  const closers: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const end of closers.splice(0).toReversed()) await end();
  };
  try {
    return { ...(await startParts(closers)), close };
  } catch (failure) {
    await close();
    throw failure;
  }
}

async function startParts(closers: (() => Promise<unknown>)[]): Promise<Omit<BenchStack, 'close'>> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
  closers.push(async () => Promise.resolve(rmSync(folder, { recursive: true, force: true })));
  const lines: string[] = [];
  const onLine = (line: string): void => {
    lines.push(line);
    if (20 < lines.length) lines.shift();
  };
  const target = await startBannerServer();
  closers.push(target.close);
  const tables = await startTables(join(folder, 'own-tables'), onLine);
  closers.push(tables.stop);
  const stack = await startStack({
    folder,
    targets: [
      {
        id: targetId,
        name: 'bench',
        host: '127.0.0.1',
        os: 'linux',
        // By this tag the shipped policies let operators in.
        tags: { env: 'demo' },
        services: [{ protocol: 'ssh', port: target.port }],
      },
    ],
    brokerSettings: {
      // In place of the stack's own tables, which share this process and would hide their CPU in ours.
      SALLYPORT_TABLES_URL: tables.url,
      SALLYPORT_SESSIONS_PER_CALLER: '1000',
      SALLYPORT_REQUESTS_PER_CALLER_MINUTE: '60000',
      SALLYPORT_REQUESTS_PER_TARGET_MINUTE: '60000',
    },
    onLine: (_program, line) => onLine(line),
  });
  closers.push(stack.close);
  const [broker] = stack.brokers;
  if (broker === undefined) throw new Error('the stack has no broker');
  return {
    url: stack.url,
    caFile: stack.caFile,
    startBroker: stack.startBroker,
    folder,
    broker,
    tables,
    openTable: (name) => openTable({ url: new URL(tables.url), name, createIfMissing: true }),
    ...(await signTokens(join(folder, 'issuer'), stack.issuer.url)),
    rootKeyFile: join(folder, 'root-key.pem'),
    wish: { target: targetId, protocol: 'ssh', port: target.port },
    granted: [],
    lines,
    closeLater: (end) => void closers.push(end),
  };
}

async function startTables(folder: string, onLine: (line: string) => void): Promise<Program> {
  const script = fileURLToPath(new URL('../../local/tables.ts', import.meta.url));
  const port = String(await choosePort());
  return startProgram({
    name: 'tables',
    args: [script, '--port', port, '--folder', folder],
    env: {},
    onLine,
  });
}

// The issuer gives tokens to its few demo callers; with its key many more people can be made up.
async function signTokens(
  issuerFolder: string,
  issuer: string,
): Promise<Pick<BenchStack, 'tokens' | 'readerToken'>> {
  const jwk = ensureSigningKey(issuerFolder);
  const key = await importJWK(jwk, 'RS256');
  const signFor = async (person: DemoCaller): Promise<string> =>
    new SignJWT(toClaims(person, 'bench'))
      .setProtectedHeader({ alg: 'RS256', typ: 'at+jwt', kid: jwk.kid })
      .setIssuer(issuer)
      .setAudience(audience)
      .setIssuedAt()
      .setExpirationTime('1h')
      .sign(key);
  const operator = findCaller('ada');
  const people = Array.from({ length: callerCount }, (_, number) => toPerson(operator, number));
  const [readerToken, ...tokens] = await Promise.all([findCaller('grace'), ...people].map(signFor));
  return { tokens, readerToken: readerToken ?? '' };
}

function findCaller(name: string): DemoCaller {
  const found = demoCallers.find((caller) => caller.name === name);
  if (found === undefined) throw new Error(`the issuer has no caller ${name}`);
  return found;
}

function toPerson(operator: DemoCaller, number: number): DemoCaller {
  const oid = `be4c0000-0000-4000-8000-${String(number).padStart(12, '0')}`;
  return { ...operator, name: `bench-${String(number)}`, oid };
}
