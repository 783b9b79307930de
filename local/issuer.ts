import { mkdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { Provider } from 'oidc-provider';
import { createConfiguration, issuerPaths } from './issuer-configuration.ts';
import type { Certificates } from './certificates.ts';
import { demoCallers, gatewayCaller } from './demo-callers.ts';
import { serveDevicePage } from './device-page.ts';
import { portOf } from './free-port.ts';
import { ensureSecret, ensureSigningKey } from './issuer-files.ts';

/** A running issuer. Tokens it gave stay valid after a restart on the same port and folder. */
export interface Issuer {
  /** The `iss` of every token, below which are the discovery document and the keys. */
  readonly url: string;
  readonly jwksUrl: string;
  readonly tokenUrl: string;
  /** Where a device code is asked for (RFC 8628, section 3.1). */
  readonly deviceAuthorizationUrl: string;
  /** The page where a person confirms one. */
  readonly deviceUrl: string;
  /** The client secret of each demo caller and of `gateway`, by client id; also in a file each. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly close: () => Promise<void>;
}

// `az` and MSAL take a single-segment path named so for a server that is not
// Entra itself, and skip the calls that only Entra answers.
const mountPath = '/adfs';

/**
 * Starts an OIDC issuer on loopback whose access tokens have the shape of Entra's version 2.0. Over
 * TLS when certificates are given, which `az login` insists on; its callers have no password.
 */
export async function startIssuer(options: {
  readonly folder: string;
  readonly port: number;
  readonly tls?: Certificates;
}): Promise<Issuer> {
  mkdirSync(options.folder, { recursive: true, mode: 0o700 });
  const callers = [...demoCallers, gatewayCaller];
  const secrets = Object.fromEntries(
    callers.map(({ name }) => [name, ensureSecret(options.folder, name)] as const),
  );
  const server = options.tls ? createTlsServer(readTls(options.tls)) : createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(options.port, '127.0.0.1', resolve);
  });
  const port = portOf(server.address());
  const url = `${options.tls ? 'https' : 'http'}://127.0.0.1:${port}${mountPath}`;
  const key = ensureSigningKey(options.folder);
  const provider = new Provider(url, createConfiguration({ callers, secrets, key }));
  provider.on('device_authorization.success', (_context, body) => {
    // Polling costs nothing here; without this member clients wait five seconds between polls.
    body['interval'] = 1;
    // A member of Entra's answer that `az` prints as it is.
    const { user_code: code, verification_uri: page } = body;
    body['message'] =
      `To sign in, open the page ${String(page)} and enter the code ${String(code)}.`;
  });
  provider.on('server_error', (_context, error) => console.error(error));
  server.on('request', createListener(provider, port));
  return {
    url,
    jwksUrl: url + issuerPaths.keys,
    tokenUrl: url + issuerPaths.token,
    deviceAuthorizationUrl: url + issuerPaths.deviceAuthorization,
    deviceUrl: url + issuerPaths.device,
    secrets,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

function readTls(files: Certificates): { readonly cert: Buffer; readonly key: Buffer } {
  return { cert: readFileSync(files.certificate), key: readFileSync(files.key) };
}

function createListener(
  provider: Provider,
  port: number,
): (request: IncomingMessage, response: ServerResponse) => void {
  const callback = provider.callback();
  const hosts = [`127.0.0.1:${port}`, `localhost:${port}`];
  return (request, response) => {
    const path = request.url ?? '/';
    if (isForeign(request, hosts) || !path.startsWith(`${mountPath}/`)) {
      response.writeHead(404).end();
      return;
    }
    const isDevicePage = path.split('?')[0] === mountPath + issuerPaths.device;
    // As Express does for what is mounted below a path: the rest in `url`, all in `originalUrl`.
    Object.assign(request, { url: path.slice(mountPath.length), originalUrl: path });
    const served = isDevicePage
      ? serveDevicePage(provider, request, response)
      : callback(request, response);
    served.catch((cause: unknown) => {
      console.error(cause);
      response.destroy();
    });
  };
}

// A web page that rebinds its own name to loopback comes with that name (DNS rebinding); one that
// posts a form here comes with its own origin.
function isForeign({ headers }: IncomingMessage, hosts: readonly string[]): boolean {
  const origin = headers.origin === undefined ? undefined : URL.parse(headers.origin);
  return (
    !hosts.includes(headers.host ?? '') ||
    (origin !== undefined && !hosts.includes(origin?.host ?? ''))
  );
}
