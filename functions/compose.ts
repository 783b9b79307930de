import { fileURLToPath } from 'node:url';
import { openAudit } from '../lib/audit-chain.ts';
import { createArmTargets } from '../lib/azure/arm-targets.ts';
import { openCredential } from '../lib/azure/credential.ts';
import { openKeyVaultKey } from '../lib/azure/key-vault-key.ts';
import { openTable } from '../lib/azure/table.ts';
import type { Broker } from '../lib/broker.ts';
import type { Config } from '../lib/config.ts';
import { parseConfig } from '../lib/config.ts';
import { fetchJson } from '../lib/fetch-json.ts';
import { readInventory } from '../lib/file/inventory-file.ts';
import { readPolicyFolder } from '../lib/file/policy-folder.ts';
import { openRootKeyFile } from '../lib/file/root-key-file.ts';
import { createIdentify } from '../lib/identity.ts';
import { openInstanceKeys } from '../lib/instance-keys.ts';
import { apiVersions } from '../lib/openapi.ts';
import { createPolicyEngine } from '../lib/policy-engine.ts';
import { loadPolicy } from '../lib/policy.ts';
import type { RootKey } from '../lib/root-key.ts';
import { toTrustedRoots } from '../lib/root-key.ts';
import type { Table } from '../lib/table.ts';
import { joinTargetSources } from '../lib/target-sources.ts';
import type { TargetSource } from '../lib/target.ts';
import { toIssuerUrls } from '../lib/trusted-issuer.ts';
import { log } from './log.ts';

let composed: Promise<Broker> | undefined;

/** Returns the broker of this process, composed on first use. A failure is not kept: the next call tries again. */
export async function findBroker(): Promise<Broker> {
  composed ??= compose(parseConfig(process.env)).catch((failure: unknown) => {
    composed = undefined;
    throw failure;
  });
  return composed;
}

async function compose(config: Config): Promise<Broker> {
  const credential = openCredential(config.managedIdentity);
  const now = (): Date => new Date();
  const newId = (): string => crypto.randomUUID();
  const [root, files] = await Promise.all([
    openRootKey(config, credential),
    readPolicyFolder(config.policies ?? fileURLToPath(new URL('../policies', import.meta.url))),
  ]);
  const policy = loadPolicy(files, createPolicyEngine(), log);
  const openNamed = (name: string): Table => {
    const { tablesUrl: url } = config;
    return openTable({ url, name, credential, createIfMissing: url.protocol === 'http:' });
  };
  const state = openNamed('state');
  const trustedRoots = toTrustedRoots([root.publicJwk, ...config.trustedRoots]);
  const issuer = config.url.origin;
  const keys = openInstanceKeys({ root, trustedRoots, state, issuer, now, log });
  const audit = openAudit({
    table: openNamed('audit'),
    keys,
    writer: newId(),
    version: apiVersions[0],
    policyDigest: () => policy.digest,
    now,
    newId,
    log,
  });
  const { url, gateway, limits, proxyHops, login, issuers, mayDial } = config;
  return {
    url,
    gateway,
    limits,
    proxyHops,
    ...(login === undefined ? {} : { login }),
    issuers: issuers.map((trusted) => ({
      issuer: toIssuerUrls(trusted)[0],
      audience: trusted.audience,
    })),
    identify: createIdentify({ issuers, fetchJson, now, log }),
    policy,
    audit,
    state,
    targets: await openTargets(config, credential, now),
    keys,
    mayDial,
    newId,
    now,
    log,
  };
}

type Credential = ReturnType<typeof openCredential>;

async function openRootKey({ rootKey }: Config, credential: Credential): Promise<RootKey> {
  return rootKey.protocol === 'file:'
    ? openRootKeyFile(fileURLToPath(rootKey))
    : openKeyVaultKey({ url: rootKey, credential });
}

async function openTargets(
  config: Config,
  credential: Credential,
  now: () => Date,
): Promise<TargetSource> {
  const { inventory, subscriptions } = config;
  // The inventory first: it answers from memory, whatever becomes of ARM.
  return joinTargetSources([
    ...(inventory === undefined ? [] : [await readInventory(inventory, log)]),
    ...(subscriptions.length === 0
      ? []
      : [createArmTargets({ credential, subscriptions, now, log })]),
  ]);
}
