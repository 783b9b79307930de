import { fileURLToPath } from 'node:url';
import type { openCredential } from '../lib/azure/credential.ts';
import { openKeyVaultKey } from '../lib/azure/key-vault-key.ts';
import { openTable } from '../lib/azure/table.ts';
import type { Config } from '../lib/config.ts';
import { openRootKeyFile } from '../lib/file/root-key-file.ts';
import type { RootKey } from '../lib/root-key.ts';
import type { Table } from '../lib/table.ts';

type Credential = ReturnType<typeof openCredential>;

/** Opens the root key, in a file or in Key Vault. */
export async function openRootKey(
  { rootKey }: Pick<Config, 'rootKey'>,
  credential: Credential,
): Promise<RootKey> {
  return rootKey.protocol === 'file:'
    ? openRootKeyFile(fileURLToPath(rootKey))
    : openKeyVaultKey({ url: rootKey, credential });
}

/** Opens a table by its name. */
export function openNamedTable(
  { tablesUrl: url }: Pick<Config, 'tablesUrl'>,
  name: string,
  credential: Credential,
): Table {
  // Azurite starts empty; in Azure the tables are there, and the broker has no right to make one.
  return openTable({ url, name, credential, createIfMissing: url.protocol === 'http:' });
}
