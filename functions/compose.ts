import { fileURLToPath } from 'node:url';
import { openAudit } from '../lib/audit-chain.ts';
import { createArmTargets } from '../lib/azure/arm-targets.ts';
import { openCredential } from '../lib/azure/credential.ts';
import { openKeyVaultKey } from '../lib/azure/key-vault-key.ts';
import { openTable } from '../lib/azure/table.ts';
import type { Broker, Keys } from '../lib/broker.ts';
import { createBudget } from '../lib/budget.ts';
import type { Config } from '../lib/config.ts';
import { parseConfig } from '../lib/config.ts';
import type { Policy } from '../lib/decision.ts';
import { fetchJson } from '../lib/fetch-json.ts';
import { readInventory } from '../lib/file/inventory-file.ts';
import { readPolicyFolder } from '../lib/file/policy-folder.ts';
import { openRootKeyFile } from '../lib/file/root-key-file.ts';
import type { Probes } from '../lib/health.ts';
import { createHealthCheck } from '../lib/health.ts';
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

type Composed = { readonly broker: Broker; readonly close: () => Promise<void> };

let composed: Promise<Composed> | undefined;

/** Returns the broker of this process, composed on first use. A failure is not kept: the next call tries again. */
export async function findBroker(): Promise<Broker> {
  const current = (composed ??= composeFromEnvironment());
  try {
    return (await current).broker;
  } catch (failure) {
    if (composed === current) composed = undefined;
    throw failure;
  }
}

/** Ends the audit chain of this process, so that its readers see that nothing is missing. */
export async function closeBroker(): Promise<void> {
  await (await composed)?.close();
}

async function composeFromEnvironment(): Promise<Composed> {
  return compose(parseConfig(process.env));
}

async function compose(config: Config): Promise<Composed> {
  const credential = openCredential(config.managedIdentity);
  const [root, policy] = await Promise.all([openRootKey(config, credential), openPolicy(config)]);
  const state = openNamedTable(config, 'state', credential);
  const auditTable = openNamedTable(config, 'audit', credential);
  const trustedRoots = toTrustedRoots([root.publicJwk, ...config.trustedRoots]);
  const issuer = config.url.origin;
  const keys = openInstanceKeys({ root, trustedRoots, state, issuer, now, log });
  const audit = openAudit({
    table: auditTable,
    keys,
    writer: newId(),
    version: apiVersions[0],
    policyDigest: () => policy.digest,
    now,
    newId,
    log,
  });
  const { issuers } = config;
  const broker: Broker = {
    ...toSettings(config),
    identify: createIdentify({ issuers, fetchJson, now, log }),
    policy,
    audit,
    state,
    budget: createBudget({ table: state, audit, newId, now, log }),
    targets: await openTargets(config, credential),
    keys,
    health: createHealthCheck(toProbes(state, auditTable, keys), now, log),
    newId,
    now,
    log,
  };
  return { broker, close: audit.close };
}

type Settings = Pick<
  Broker,
  'url' | 'gateway' | 'limits' | 'proxyHops' | 'login' | 'issuers' | 'mayDial'
>;

function toSettings({
  url,
  gateway,
  limits,
  proxyHops,
  login,
  issuers,
  mayDial,
}: Config): Settings {
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
    mayDial,
  };
}

function toProbes(state: Table, auditTable: Table, keys: Keys): Probes {
  return {
    state: async () => state.find('health', 'probe'),
    audit: async () => auditTable.find('health', 'probe'),
    keys: keys.current,
  };
}

function now(): Date {
  return new Date();
}

function newId(): string {
  return crypto.randomUUID();
}

type Credential = ReturnType<typeof openCredential>;

async function openRootKey({ rootKey }: Config, credential: Credential): Promise<RootKey> {
  return rootKey.protocol === 'file:'
    ? openRootKeyFile(fileURLToPath(rootKey))
    : openKeyVaultKey({ url: rootKey, credential });
}

async function openPolicy({ policies }: Config): Promise<Policy> {
  const folder = policies ?? fileURLToPath(new URL('../policies', import.meta.url));
  return loadPolicy(await readPolicyFolder(folder), createPolicyEngine(), log);
}

function openNamedTable({ tablesUrl: url }: Config, name: string, credential: Credential): Table {
  // Azurite starts empty; in Azure the tables are there, and the broker has no right to make one.
  return openTable({ url, name, credential, createIfMissing: url.protocol === 'http:' });
}

async function openTargets(config: Config, credential: Credential): Promise<TargetSource> {
  const { inventory, subscriptions } = config;
  // The inventory first: it answers from memory, whatever becomes of ARM.
  return joinTargetSources([
    ...(inventory === undefined ? [] : [await readInventory(inventory, log)]),
    ...(subscriptions.length === 0
      ? []
      : [createArmTargets({ credential, subscriptions, now, log })]),
  ]);
}
