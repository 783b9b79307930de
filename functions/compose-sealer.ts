import { openCheckpointBlobs } from '../lib/azure/checkpoint-blobs.ts';
import { openCredential } from '../lib/azure/credential.ts';
import { toTrustedRoots } from '../lib/root-key.ts';
import type { Sealer } from '../lib/seal-audit.ts';
import { openSealer } from '../lib/seal-audit.ts';
import type { SealerConfig } from '../lib/sealer-config.ts';
import { parseSealerConfig } from '../lib/sealer-config.ts';
import { log } from './log.ts';
import { openNamedTable, openRootKey } from './open-parts.ts';

let composed: Promise<Sealer | undefined> | undefined;

/**
 * Returns the sealer of this process, composed on first use and apart from any broker; undefined where it is none. A
 * failure is not kept: the next call tries again.
 */
export async function findSealer(): Promise<Sealer | undefined> {
  const current = (composed ??= compose(parseSealerConfig(process.env)));
  try {
    return await current;
  } catch (failure) {
    if (composed === current) composed = undefined;
    throw failure;
  }
}

async function compose(config: SealerConfig | undefined): Promise<Sealer | undefined> {
  if (config === undefined) return undefined;
  const credential = openCredential(config.managedIdentity);
  const root = await openRootKey(config, credential);
  const { checkpointsUrl: url } = config;
  return openSealer({
    audit: openNamedTable(config, 'audit', credential),
    index: openNamedTable(config, 'auditix', credential),
    root,
    trust: {
      roots: toTrustedRoots([root.publicJwk, ...config.trustedRoots]),
      issuer: config.url.origin,
    },
    ...(url === undefined ? {} : { copies: openCheckpointBlobs({ url, credential }) }),
    now: () => new Date(),
    log,
  });
}
