import type { z } from 'zod';
import type { Broker } from './broker.ts';
import { apiVersions } from './openapi.ts';
import type { discoveryShape } from './session-view.ts';

/** Returns the discovery document: where the keys, the API's description and the sign-in of this broker are. */
export function toDiscovery(broker: Broker): z.infer<typeof discoveryShape> {
  const { url, keys, login, issuers } = broker;
  return {
    name: 'sallyport',
    version: apiVersions[0],
    url: url.origin,
    jwksUri: new URL('/.well-known/jwks.json', url).href,
    openapi: new URL('/api/openapi.json', url).href,
    apiVersions: [...apiVersions],
    root: { ...keys.root.publicJwk, kid: keys.root.kid },
    ...(login === undefined ? {} : { login }),
    issuers: issuers.map(({ issuer, audience }) => ({ issuer, audience: [...audience] })),
  };
}
