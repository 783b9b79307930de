import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ContainerClient, StorageSharedKeyCredential } from '@azure/storage-blob';
import { openCredential } from '../../lib/azure/credential.ts';
import { openPolicyBlobs } from '../../lib/azure/policy-blobs.ts';
import { startBlobs } from '../../local/azurite-blobs.ts';
import type { PolicyStore } from './policy-store.ts';

/** A blob service with containers of policy sets. */
export type BlobPolicyStores = {
  /** Opens a new container; its URL is what a broker is given. */
  readonly open: () => Promise<PolicyStore & { readonly url: URL }>;
  readonly close: () => Promise<void>;
};

const account = 'devstoreaccount1';
const developmentKey =
  'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

/** Starts a blob service in a folder of its own, which `close` removes. */
export async function startBlobPolicyStores(): Promise<BlobPolicyStores> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-blobs-'));
  const blobs = await startBlobs({ folder, port: 0 });
  const identity = new StorageSharedKeyCredential(account, developmentKey);
  let opened = 0;
  return {
    open: async () => {
      opened += 1;
      const url = new URL(`${blobs.url}/policies${opened}`);
      const container = new ContainerClient(url.href, identity);
      await container.create();
      return {
        url,
        source: openPolicyBlobs({ url, credential: openCredential() }),
        write: async (name, text) => {
          const content = Buffer.from(text);
          await container.getBlockBlobClient(name).upload(content, content.length);
        },
        remove: async (name) => void (await container.deleteBlob(name)),
      };
    },
    close: async () => {
      await blobs.close();
      rmSync(folder, { recursive: true });
    },
  };
}
