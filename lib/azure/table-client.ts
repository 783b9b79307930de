import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { AzureNamedKeyCredential, TableClient } from '@azure/data-tables';
import type { TokenCredential } from '@azure/identity';

/** Which table: the account's endpoint, the table's name, and the identity to use there. */
export type TableSettings = {
  /** `https:`, or on loopback `http:` for Azurite, whose published development key is then used. */
  readonly url: URL;
  readonly name: string;
  readonly credential?: TokenCredential;
  /** Whether to create the table before its first use; a broker in Azure has no right to. */
  readonly createIfMissing: boolean;
};

// Azurite's published development key. It protects nothing: loopback is the protection.
const developmentKey =
  'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

/** Opens the client of a table without retries of its own. Fails for an address where rows or tokens could be read on the way. */
export function openClient({ url, name, credential }: TableSettings): TableClient {
  const retryOptions = { maxRetries: 0 };
  // A socket that a NAT has forgotten costs a whole attempt, so none is kept idle for longer than NATs remember.
  const agentOptions = { keepAlive: true, timeout: 60_000 };
  if (url.protocol === 'http:' && isLoopback(url.hostname)) {
    const key = new AzureNamedKeyCredential('devstoreaccount1', developmentKey);
    const agent = new HttpAgent(agentOptions);
    const options = { retryOptions, agent, allowInsecureConnection: true };
    return new TableClient(url.href, name, key, options);
  }
  if (url.protocol !== 'https:') throw new Error('The URL of the tables must begin with https:.');
  if (credential === undefined) throw new Error('The tables need a credential.');
  const agent = new HttpsAgent(agentOptions);
  return new TableClient(url.href, name, credential, { retryOptions, agent });
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '127.0.0.1' || host === '[::1]';
}
