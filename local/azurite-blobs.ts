import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { z } from 'zod';

/** A running blob service. */
export interface Blobs {
  readonly url: string;
  readonly close: () => Promise<void>;
}

const host = '127.0.0.1';
const account = 'devstoreaccount1';
const keepAliveSeconds = 5;

// Azurite ships no types. This is the part of its blob server that matters here.
interface BlobServer {
  start(): Promise<void>;
  close(): Promise<void>;
  getHttpServerAddress(): string;
}

type NewConfiguration = new (
  host: string,
  port: number,
  keepAliveSeconds: number,
  metadataFile: string,
  extentFile: string,
  folders: readonly object[],
  isAccessLogged: boolean,
) => { skipApiVersionCheck: boolean };

type NewServer = new (configuration: object) => BlobServer;

const isFunction = (value: unknown): boolean => typeof value === 'function';
const configurationModule = z.object({ default: z.custom<NewConfiguration>(isFunction) });
const serverModule = z.object({ default: z.custom<NewServer>(isFunction) });

/** Starts Azurite's blob service on loopback with its blobs kept in the folder; 0 is a free port. */
export async function startBlobs(options: {
  readonly folder: string;
  readonly port: number;
}): Promise<Blobs> {
  const { folder, port } = options;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const load = createRequire(import.meta.url);
  const { default: Configuration } = configurationModule.parse(
    load('azurite/dist/src/blob/BlobConfiguration.js'),
  );
  const { default: Server } = serverModule.parse(load('azurite/dist/src/blob/BlobServer.js'));
  const content = {
    locationPath: join(folder, 'content'),
    locationId: 'Default',
    maxConcurrency: 5,
  };
  const configuration = new Configuration(
    host,
    port,
    keepAliveSeconds,
    join(folder, 'blobs.json'),
    join(folder, 'extents.json'),
    [content],
    false,
  );
  // Clients ask for versions of the protocol that are newer than this Azurite.
  configuration.skipApiVersionCheck = true;
  const server = new Server(configuration);
  await server.start();
  let isClosed = false;
  return {
    url: `${server.getHttpServerAddress()}/${account}`,
    close: async () => {
      if (isClosed) return;
      isClosed = true;
      await server.close();
    },
  };
}
