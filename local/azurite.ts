import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { z } from 'zod';

/** A running table service. `close` resolves when every row is on disk. */
export interface Tables {
  readonly url: string;
  readonly connectionString: string;
  readonly close: () => Promise<void>;
}

const host = '127.0.0.1';
const account = 'devstoreaccount1';
// Azurite's published development key. It protects nothing: loopback is the protection.
const key =
  'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

// Azurite ships no types. This is the part of its table server that matters here.
interface TableServer {
  readonly metadataStore: {
    readonly db: { throttledSaveDrain(callback: () => void): void };
  };
  start(): Promise<void>;
  close(): Promise<void>;
  getHttpServerAddress(): string;
}

type NewConfiguration = new (
  host: string,
  port: number,
  keepAliveSeconds: number,
  file: string,
  isDebugLogged: boolean,
  isAccessLogged: boolean,
) => { skipApiVersionCheck: boolean };

type NewServer = new (configuration: object) => TableServer;

const isFunction = (value: unknown): boolean => typeof value === 'function';
const configurationModule = z.object({ default: z.custom<NewConfiguration>(isFunction) });
const serverModule = z.object({ default: z.custom<NewServer>(isFunction) });

/**
 * Starts Azurite's table service on loopback with its rows kept in the folder. A clean close keeps
 * every row; a killed process may lose those of its last five seconds, for Azurite saves in steps.
 */
export async function startTables(options: {
  readonly folder: string;
  readonly port: number;
}): Promise<Tables> {
  mkdirSync(options.folder, { recursive: true, mode: 0o700 });
  const load = createRequire(import.meta.url);
  const { default: Configuration } = configurationModule.parse(
    load('azurite/dist/src/table/TableConfiguration.js'),
  );
  const { default: Server } = serverModule.parse(load('azurite/dist/src/table/TableServer.js'));
  const file = join(options.folder, 'tables.json');
  const keepAliveSeconds = 5;
  const configuration = new Configuration(host, options.port, keepAliveSeconds, file, false, false);
  // Clients ask for versions of the protocol that are newer than this Azurite.
  configuration.skipApiVersionCheck = true;
  const server = new Server(configuration);
  await server.start();
  const url = `${server.getHttpServerAddress()}/${account}`;
  const parts = {
    DefaultEndpointsProtocol: 'http',
    AccountName: account,
    AccountKey: key,
    TableEndpoint: url,
  };
  let isClosed = false;
  return {
    url,
    connectionString: Object.entries(parts)
      .map(([name, value]) => `${name}=${value};`)
      .join(''),
    close: async () => {
      if (isClosed) return;
      isClosed = true;
      await server.close();
      // Azurite calls itself closed while a save that began before is still being written.
      await new Promise<void>((resolve) => {
        server.metadataStore.db.throttledSaveDrain(() => resolve());
      });
    },
  };
}
