import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureCertificates } from '../../local/certificates.ts';
import { Cli } from './cli-process.ts';
import { startBroker } from './stand-in-broker.ts';
import type { StandInBroker } from './stand-in-broker.ts';
import { startGateway } from './stand-in-gateway.ts';
import type { StandInGateway } from './stand-in-gateway.ts';

/** The command between a stand-in broker and a stand-in gateway, with a token in its environment. */
export type CliBench = {
  readonly broker: StandInBroker;
  readonly gateway: StandInGateway;
  readonly cli: Cli;
  readonly environment: Readonly<Record<string, string>>;
  /** A folder for the test's own files. */
  readonly folder: string;
  /** Closes everything. Throws when a run has printed the token or a ticket (THREATS 1). */
  readonly close: () => Promise<void>;
};

/** Starts a bench. */
export async function startBench(): Promise<CliBench> {
  const token = `token-${randomBytes(16).toString('hex')}`;
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-cli-'));
  const certificates = await ensureCertificates(folder, new Date());
  const gateway = await startGateway(certificates);
  const broker = await startBroker(() => gateway.endpoint);
  const environment = {
    SALLYPORT_BROKER: broker.url,
    SALLYPORT_CA: certificates.ca,
    SALLYPORT_TOKEN: token,
    SALLYPORT_CONFIG_DIR: join(folder, 'config'),
  };
  const cli = new Cli(environment);
  const close = async (): Promise<void> => {
    cli.stop();
    await Promise.all([broker.close(), gateway.close()]);
    rmSync(folder, { recursive: true });
    cli.refuseLeaks([token, ...broker.tickets]);
  };
  return { broker, gateway, cli, environment, folder, close };
}
