import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { audience, cliClientId, demoCallers } from './demo-callers.ts';
import { nameSecretFile } from './issuer-files.ts';
import type { Stack } from './stack.ts';
import type { LocalTarget } from './start-target.ts';

/** A running local stack: where its state is, and its parts. */
export type Local = {
  readonly folder: string;
  readonly stack: Stack;
  readonly target: LocalTarget;
};

/** What a script needs to know of a running local stack; `endpoints.json` holds it. */
export type Endpoints = {
  readonly pid: number;
  readonly broker: string;
  readonly gateway: string;
  readonly issuer: string;
  readonly tokenUrl: string;
  readonly deviceAuthorizationUrl: string;
  /** The page where a device code is confirmed, by a person or by one form post. */
  readonly deviceUrl: string;
  /** A file with the authority to trust for the gateway. */
  readonly ca: string;
  readonly audience: string;
  readonly scope: string;
  readonly callers: Readonly<Record<string, EndpointCaller>>;
  readonly target: {
    readonly id: string;
    readonly name: string;
    readonly port: number;
    readonly keyFile: string;
    readonly knownHosts: string;
    readonly sshConfig: string;
  };
  /** Commands to copy, each of which answers with JSON. */
  readonly how: {
    readonly clientCredentials: string;
    readonly deviceCode: readonly string[];
  };
};

type EndpointCaller = {
  readonly kind: 'user' | 'app';
  readonly what: string;
  readonly clientId: string;
  readonly clientSecret: string;
};

const scope = `${audience}/.default`;
const deviceScope = `openid offline_access ${scope}`;

const descriptions: Readonly<Record<string, string>> = {
  ada: 'an operator: may open sessions to the demo target',
  grace: 'an approver: sees and ends the sessions of all, and opens none',
  eve: 'a person without rights',
  pipeline: 'a workload: may ask for sessions, and no policy gives it the demo target',
};

/** Returns the document for scripts. */
export function toEndpoints({ stack, target }: Local): Endpoints {
  const { issuer } = stack;
  const callers = demoCallers.map(({ name, kind }) => {
    const what = descriptions[name] ?? kind;
    return [
      name,
      { kind, what, clientId: name, clientSecret: issuer.secrets[name] ?? '' },
    ] as const;
  });
  return {
    pid: process.pid,
    broker: stack.url,
    gateway: stack.gatewayUrl,
    issuer: issuer.url,
    tokenUrl: issuer.tokenUrl,
    deviceAuthorizationUrl: issuer.deviceAuthorizationUrl,
    deviceUrl: issuer.deviceUrl,
    ca: stack.caFile,
    audience,
    scope,
    callers: Object.fromEntries(callers),
    target: {
      id: target.listed.id,
      name: target.listed.name,
      port: target.port,
      keyFile: target.keyFile,
      knownHosts: target.knownHosts,
      sshConfig: target.sshConfig,
    },
    how: describeGrants(stack),
  };
}

function describeGrants({ issuer }: Stack): Endpoints['how'] {
  const { tokenUrl, deviceAuthorizationUrl, deviceUrl, secrets } = issuer;
  return {
    clientCredentials: toCurl(tokenUrl, {
      grant_type: 'client_credentials',
      client_id: 'ada',
      client_secret: secrets['ada'] ?? '',
      scope,
    }),
    deviceCode: [
      toCurl(deviceAuthorizationUrl, { client_id: cliClientId, scope: deviceScope }),
      toCurl(deviceUrl, { user_code: 'USER_CODE', caller: 'ada' }),
      toCurl(tokenUrl, {
        grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
        client_id: cliClientId,
        device_code: 'DEVICE_CODE',
      }),
    ],
  };
}

function toCurl(url: string, form: Readonly<Record<string, string>>): string {
  const fields = Object.entries(form).map(([name, value]) => `-d '${name}=${value}'`);
  return ['curl -sS', ...fields, url].join(' ');
}

/** Writes `endpoints.json` for its owner alone: it holds the secrets of the callers. It is there while the stack runs. */
export function writeEndpoints(folder: string, endpoints: Endpoints): string {
  const file = nameEndpointsFile(folder);
  const next = `${file}.next`;
  removeFile(next);
  writeFileSync(next, `${JSON.stringify(endpoints, null, 2)}\n`, { mode: 0o600 });
  // Whoever waits for the file never reads half of it.
  renameSync(next, file);
  return file;
}

/** Removes `endpoints.json`; one that is not there is no error. */
export function removeEndpoints(folder: string): void {
  removeFile(nameEndpointsFile(folder));
}

function nameEndpointsFile(folder: string): string {
  return join(folder, 'endpoints.json');
}

function removeFile(file: string): void {
  rmSync(file, { force: true });
}

/** Returns the lines that make a second terminal speak to the stack as ada. Her secret stays in its file. */
export function toExports({ folder, stack, target }: Local): readonly string[] {
  const secretFile = quote(nameSecretFile(join(folder, 'issuer'), 'ada'));
  return [
    `export SALLYPORT_BROKER=${stack.url} SALLYPORT_CA=${quote(stack.caFile)}`,
    `export SALLYPORT_CLIENT_ID=ada SALLYPORT_CLIENT_SECRET="$(cat ${secretFile})"`,
    `export SALLYPORT_DEMO_KEY=${quote(target.keyFile)} SALLYPORT_DEMO_SSH_CONFIG=${quote(target.sshConfig)}`,
  ];
}

function quote(word: string): string {
  return /^[\w@+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
