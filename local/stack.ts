import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { openRootKeyFile } from '../lib/file/root-key-file.ts';
import type { Tables } from './azurite.ts';
import { startTables } from './azurite.ts';
import type { Certificates } from './certificates.ts';
import { ensureCertificates } from './certificates.ts';
import { audience, cliClientId, gatewayCaller, tenantId } from './demo-callers.ts';
import { choosePort } from './free-port.ts';
import type { Issuer } from './issuer.ts';
import { startIssuer } from './issuer.ts';
import type { Program } from './program.ts';
import { startProgram } from './program.ts';

/** A target of the stack's inventory file; see `docs/targets.md`. */
export type StackTarget = {
  readonly id: string;
  readonly name: string;
  readonly host: string;
  readonly os: 'linux' | 'windows' | 'unknown';
  readonly tags: Readonly<Record<string, string>>;
  readonly services: readonly { readonly protocol: 'ssh' | 'rdp' | 'tcp'; readonly port: number }[];
};

/** What the stack is made of. Ports that are not given are chosen free. */
export type StackOptions = {
  readonly folder: string;
  readonly targets: readonly StackTarget[];
  readonly ports?: {
    readonly tables?: number;
    readonly issuer?: number;
    readonly broker?: number;
    readonly gateway?: number;
  };
  readonly brokers?: number;
  readonly gateways?: number;
  /** Settings of every broker, on top of those that the stack needs. */
  readonly brokerSettings?: Readonly<Record<string, string>>;
  /** Settings of every gateway, likewise. */
  readonly gatewaySettings?: Readonly<Record<string, string>>;
  /** Gets every line that a program writes. */
  readonly onLine?: (program: string, line: string) => void;
  /** Told what is about to start. */
  readonly onStep?: (step: string) => void;
};

/** A whole Sallyport on this machine: tables, issuer, brokers and gateways, the last two as processes of their own. */
export type Stack = {
  readonly url: string;
  readonly gatewayUrl: string;
  readonly caFile: string;
  readonly tables: Tables;
  readonly issuer: Issuer;
  readonly brokers: readonly Program[];
  readonly gateways: readonly Program[];
  /** Starts one more broker, or one in place of a killed one on its port. */
  readonly startBroker: (port?: number) => Promise<Program>;
  readonly startGateway: (port?: number) => Promise<Program>;
  /** Returns an access token of a demo caller, by the client credentials grant. */
  readonly getToken: (caller: string) => Promise<string>;
  readonly close: () => Promise<void>;
};

type Foundation = {
  readonly options: StackOptions;
  readonly tables: Tables;
  readonly issuer: Issuer;
  readonly certificates: Certificates;
  readonly rootKeyFile: string;
  readonly rootKeysFile: string;
  readonly inventoryFile: string;
  /** The public URL of the broker, whichever process answers. */
  readonly url: string;
  readonly gatewayUrl: string;
};

const gatewayId = 'local';

/** Starts the stack. When a part fails to start, those that had are stopped and the error says which. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const closers: (() => Promise<unknown>)[] = [];
  try {
    return await startParts(options, closers);
  } catch (failure) {
    await closeAll(closers);
    throw failure;
  }
}

async function startParts(
  options: StackOptions,
  closers: (() => Promise<unknown>)[],
): Promise<Stack> {
  const ports = {
    broker: await choosePort(options.ports?.broker),
    gateway: await choosePort(options.ports?.gateway),
  };
  const base = await startFoundation(options, ports, closers);
  const startBroker = async (port?: number): Promise<Program> => {
    const program = await startBrokerProgram(base, port ?? (await choosePort()));
    closers.push(program.stop);
    return program;
  };
  const startGateway = async (port?: number): Promise<Program> => {
    const program = await startGatewayProgram(base, port ?? (await choosePort()));
    closers.push(program.stop);
    return program;
  };
  options.onStep?.('broker');
  const brokers = await startMany(options.brokers ?? 1, ports.broker, startBroker);
  options.onStep?.('gateway');
  const gateways = await startMany(options.gateways ?? 1, ports.gateway, startGateway);
  return {
    url: base.url,
    gatewayUrl: base.gatewayUrl,
    caFile: base.certificates.ca,
    tables: base.tables,
    issuer: base.issuer,
    brokers,
    gateways,
    startBroker,
    startGateway,
    getToken: async (caller) => fetchToken(base.issuer, caller),
    close: async () => closeAll(closers),
  };
}

// The first one takes the port that the others' settings name.
async function startMany(
  count: number,
  firstPort: number,
  start: (port?: number) => Promise<Program>,
): Promise<readonly Program[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, i) => start(i === 0 ? firstPort : undefined)),
  );
}

async function startFoundation(
  options: StackOptions,
  ports: { readonly broker: number; readonly gateway: number },
  closers: (() => Promise<unknown>)[],
): Promise<Foundation> {
  const { folder, onStep } = options;
  onStep?.('tables');
  const tables = await startTables({
    folder: join(folder, 'tables'),
    port: await choosePort(options.ports?.tables),
  });
  closers.push(tables.close);
  onStep?.('issuer');
  const issuer = await startIssuer({
    folder: join(folder, 'issuer'),
    port: await choosePort(options.ports?.issuer),
  });
  closers.push(issuer.close);
  onStep?.('certificates');
  const certificates = await ensureCertificates(folder, new Date());
  return {
    options,
    tables,
    issuer,
    certificates,
    ...(await writeFiles(folder, options, issuer)),
    url: `http://127.0.0.1:${String(ports.broker)}`,
    gatewayUrl: `wss://localhost:${String(ports.gateway)}`,
  };
}

async function writeFiles(
  folder: string,
  { targets }: StackOptions,
  issuer: Issuer,
): Promise<Pick<Foundation, 'rootKeyFile' | 'rootKeysFile' | 'inventoryFile'>> {
  const rootKeyFile = join(folder, 'root-key.pem');
  const root = await openRootKeyFile(rootKeyFile);
  const rootKeysFile = join(folder, 'root-keys.json');
  writeFileSync(rootKeysFile, JSON.stringify({ keys: [root.publicJwk] }));
  const inventoryFile = join(folder, 'inventory.json');
  writeFileSync(inventoryFile, JSON.stringify({ targets }, null, 2));
  const secret = issuer.secrets[gatewayCaller.name] ?? '';
  writeFileSync(join(folder, 'gateway-secret'), secret, { mode: 0o600 });
  return { rootKeyFile, rootKeysFile, inventoryFile };
}

async function startBrokerProgram(base: Foundation, port: number): Promise<Program> {
  const { options, tables, issuer } = base;
  const name = `broker:${String(port)}`;
  return startProgram({
    name,
    args: [fileURLToPath(new URL('broker.ts', import.meta.url)), '--port', String(port)],
    env: {
      SALLYPORT_URL: base.url,
      SALLYPORT_ISSUERS: JSON.stringify([
        { kind: 'entra', tenant: tenantId, audience: [audience], issuer: issuer.url },
      ]),
      SALLYPORT_LOGIN: JSON.stringify({
        issuer: issuer.url,
        clientId: cliClientId,
        scope: `${audience}/.default offline_access`,
      }),
      SALLYPORT_GATEWAY: JSON.stringify({
        id: gatewayId,
        url: base.gatewayUrl,
        caller: `${tenantId}.${gatewayCaller.oid}`,
      }),
      SALLYPORT_TABLES_URL: tables.url,
      SALLYPORT_ROOT_KEY: pathToFileURL(base.rootKeyFile).href,
      SALLYPORT_INVENTORY: base.inventoryFile,
      SALLYPORT_ALLOWED_NETWORKS: '127.0.0.0/8',
      ...options.brokerSettings,
    },
    onLine: (line) => options.onLine?.(name, line),
  });
}

async function startGatewayProgram(base: Foundation, port: number): Promise<Program> {
  const { options, issuer, certificates } = base;
  const name = `gateway:${String(port)}`;
  return startProgram({
    name,
    args: [fileURLToPath(new URL('../dist/gateway/main.js', import.meta.url))],
    env: {
      SALLYPORT_BROKER_URL: base.url,
      SALLYPORT_GATEWAY_ID: gatewayId,
      SALLYPORT_LISTEN: `127.0.0.1:${String(port)}`,
      SALLYPORT_TLS_CERT: certificates.certificate,
      SALLYPORT_TLS_KEY: certificates.key,
      SALLYPORT_ROOT_KEYS: base.rootKeysFile,
      SALLYPORT_ALLOWED_NETWORKS: '127.0.0.0/8',
      SALLYPORT_TOKEN_URL: issuer.tokenUrl,
      SALLYPORT_CLIENT_ID: gatewayCaller.name,
      SALLYPORT_CLIENT_SECRET_FILE: join(options.folder, 'gateway-secret'),
      SALLYPORT_TOKEN_SCOPE: `${audience}/.default`,
      ...options.gatewaySettings,
    },
    onLine: (line) => options.onLine?.(name, line),
  });
}

/** Returns an access token by the client credentials grant (RFC 6749, section 4.4). */
async function fetchToken(issuer: Issuer, caller: string): Promise<string> {
  const secret = issuer.secrets[caller] ?? '';
  const answer = await fetch(issuer.tokenUrl, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${caller}:${secret}`).toString('base64')}` },
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      scope: `${audience}/.default`,
    }),
  });
  const body: unknown = await answer.json();
  if (typeof body === 'object' && body !== null && 'access_token' in body)
    return String(body.access_token);
  throw new Error(`the issuer gave no token to ${caller}: ${JSON.stringify(body)}`);
}

// In the order in which they lean on each other: gateways first, so that they can still report, and tables last.
async function closeAll(closers: (() => Promise<unknown>)[]): Promise<void> {
  for (const close of closers.splice(0).toReversed()) await close();
}
