import { openAudit } from '../lib/audit-chain.ts';
import { createArmPower } from '../lib/azure/arm-power.ts';
import { createArmTargets } from '../lib/azure/arm-targets.ts';
import { openCredential } from '../lib/azure/credential.ts';
import type { Broker, Keys } from '../lib/broker.ts';
import type { ChainTrust } from '../lib/audit-verify-key.ts';
import { createAuditProbe } from '../lib/audit-health.ts';
import { createBudget } from '../lib/budget.ts';
import { openCheckpointLog } from '../lib/checkpoint-log.ts';
import type { Config } from '../lib/config.ts';
import { parseConfig } from '../lib/config.ts';
import type { CurrentPolicy } from '../lib/current-policy.ts';
import { fetchJson } from '../lib/fetch-json.ts';
import { readInventory } from '../lib/file/inventory-file.ts';
import type { Probes } from '../lib/health.ts';
import { createHealthCheck } from '../lib/health.ts';
import { createIdentify } from '../lib/identity.ts';
import { openInstanceKeys } from '../lib/instance-keys.ts';
import { logEntries } from '../lib/log-entries.ts';
import { apiVersions } from '../lib/openapi.ts';
import { postNotice } from '../lib/post-notice.ts';
import { toTrustedRoots } from '../lib/root-key.ts';
import { createSimulationGate } from '../lib/simulate-limit.ts';
import type { Table } from '../lib/table.ts';
import { joinTargetSources } from '../lib/target-sources.ts';
import type { TargetSource } from '../lib/target.ts';
import { toIssuerUrls } from '../lib/trusted-issuer.ts';
import type { TailParts } from '../lib/unsealed-tail.ts';
import { log } from './log.ts';
import { openNamedTable, openRootKey } from './open-parts.ts';
import { openPolicy } from './open-policy.ts';

type Composed = {
  readonly broker: Broker;
  readonly keepFresh: () => Promise<void>;
  readonly close: () => Promise<void>;
};

let composed: Promise<Composed> | undefined;

/**
 * Returns the broker of this process, composed on first use, and has it look for a newer policy set now and then. A
 * failure is not kept: the next call tries again.
 */
export async function findBroker(): Promise<Broker> {
  const current = (composed ??= composeFromEnvironment());
  try {
    const { broker, keepFresh } = await current;
    await keepFresh();
    return broker;
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
  const [root, openPolicyWith] = await Promise.all([
    openRootKey(config, credential),
    openPolicy(config, credential, now),
  ]);
  const state = openNamedTable(config, 'state', credential);
  const auditTable = openNamedTable(config, 'audit', credential);
  const trustedRoots = toTrustedRoots([root.publicJwk, ...config.trustedRoots]);
  const issuer = config.url.origin;
  const keys = openInstanceKeys({ root, trustedRoots, state, issuer, now, log });
  const tail = openTail(config, credential, auditTable, { roots: trustedRoots, issuer });
  const audit = openAudit({
    table: config.logsAudit ? logEntries(auditTable, log) : auditTable,
    keys,
    writer: newId(),
    version: apiVersions[0],
    policyDigest: () => current.policy.digest,
    now,
    newId,
    log,
  });
  const current = openPolicyWith({ audit, state });
  const broker: Broker = {
    ...toSettings(config),
    identify: createIdentify({ issuers: config.issuers, fetchJson, now, log }),
    policy: current.policy,
    refreshPolicy: current.refresh,
    audit,
    auditIndex: { table: tail.index, checkpoints: tail.checkpoints },
    state,
    budget: createBudget({ table: state, audit, newId, now, log }),
    admitSimulation: createSimulationGate(),
    targets: await openTargets(config, credential),
    ...openPower(config, credential),
    ...(config.webhooks.length === 0
      ? {}
      : { notices: { webhooks: config.webhooks, post: postNotice } }),
    keys,
    health: createHealthCheck(toProbes(state, keys, current, tail), now, log),
    newId,
    now,
    log,
  };
  return { broker, keepFresh: current.keepFresh, close: audit.close };
}

type Settings = Pick<
  Broker,
  'url' | 'gateway' | 'limits' | 'proxyHops' | 'login' | 'issuers' | 'kinship' | 'mayDial'
>;

function toSettings({
  url,
  gateway,
  limits,
  proxyHops,
  login,
  issuers,
  kinship,
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
    kinship,
    mayDial,
  };
}

function openTail(
  config: Config,
  credential: Credential,
  { list }: Table,
  trust: ChainTrust,
): TailParts {
  const index = openNamedTable(config, 'auditix', credential);
  return { list, index, checkpoints: openCheckpointLog({ list, trust, now }), now };
}

function toProbes(state: Table, keys: Keys, { probe }: CurrentPolicy, tail: TailParts): Probes {
  return {
    audit: createAuditProbe(tail),
    state: async () => state.find('health', 'probe'),
    keys: keys.current,
    policy: probe,
  };
}

function now(): Date {
  return new Date();
}

function newId(): string {
  return crypto.randomUUID();
}

type Credential = ReturnType<typeof openCredential>;

function openPower({ subscriptions }: Config, credential: Credential): Pick<Broker, 'power'> {
  return subscriptions.length === 0
    ? {}
    : { power: createArmPower({ credential, subscriptions, log }) };
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
