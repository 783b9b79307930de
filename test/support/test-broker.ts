import { createHash, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import type { Audit, AuditEvent } from '../../lib/audit.ts';
import type { Broker, Keys } from '../../lib/broker.ts';
import type { Budget, BudgetParts } from '../../lib/budget.ts';
import { createBudget } from '../../lib/budget.ts';
import type { Caller } from '../../lib/caller.ts';
import type { Decision, DecisionInput, Policy } from '../../lib/decision.ts';
import { signEndorsement } from '../../lib/endorsement.ts';
import { BrokerError } from '../../lib/failure.ts';
import { createHealthCheck } from '../../lib/health.ts';
import type { PublicJwk, RootKey } from '../../lib/root-key.ts';
import { toKid, toPublicJwk, toTrustedRoots } from '../../lib/root-key.ts';
import { createSimulationGate } from '../../lib/simulate-limit.ts';
import type { Target, TargetSource } from '../../lib/target.ts';
import type { Terms } from '../../lib/terms.ts';
import { memoryTable } from './memory-table.ts';

const tenant = '9b7b0000-0000-4000-8000-0000000000bb';

function testCaller(name: string, changes: Partial<Caller> = {}): Caller {
  return {
    id: `${tenant}.${name}`,
    kind: 'person',
    issuer: `https://login.microsoftonline.com/${tenant}/v2.0`,
    app: 'portal',
    name,
    groups: [],
    roles: ['Session.Request'],
    acrs: [],
    canStepUp: false,
    ...changes,
  };
}

export const ada = testCaller('ada');
export const eve = testCaller('eve');
export const grace = testCaller('grace', {
  roles: ['Session.Request', 'Session.Read.All', 'Session.Terminate.All', 'Lock.Manage'],
});
export const gateway = testCaller('gateway', { kind: 'workload', roles: ['Gateway'] });

export const vm: Target = {
  id: '11111111-1111-4111-8111-111111111111',
  name: 'vm-1',
  source: 'inventory',
  subscription: 'inventory',
  resourceGroup: 'default',
  os: 'linux',
  power: 'running',
  tags: { env: 'dev' },
  services: [{ protocol: 'ssh', port: 22 }],
};

export const vmHost = '10.0.0.4';

/** An audit log in memory. */
export function memoryAudit(): Audit & { readonly entries: AuditEvent[] } {
  const entries: AuditEvent[] = [];
  return {
    entries,
    append: async (events) => {
      entries.push(...events);
      return events.map((event, i) => ({
        chain: 'test',
        sequence: entries.length - events.length + i,
        hash: createHash('sha256').update(JSON.stringify(event)).digest('base64url'),
      }));
    },
  };
}

/** A policy that allows everybody but eve, with the terms given. */
export function testPolicy(terms: Terms = {}, advice: readonly string[] = []): Policy {
  const decide = ({ caller }: DecisionInput): Decision =>
    caller.id === eve.id
      ? { outcome: 'deny', policies: [], digest: 'test', advice }
      : { outcome: 'allow', policies: ['everybody'], digest: 'test', terms };
  return { digest: 'test', decide };
}

/** A source of the targets given, with the host that each is said to have. */
export function testTargets(targets: readonly Target[] = [vm], host = vmHost): TargetSource {
  return {
    find: async (reference) =>
      targets.find(({ id, armId }) =>
        reference.kind === 'id' ? id === reference.id : armId === reference.armId,
      ),
    findHost: async () => host,
    list: async () => targets,
  };
}

/** A root key in memory. */
export function testRoot(): RootKey {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const publicJwk: PublicJwk = toPublicJwk(pair.publicKey);
  return {
    kid: toKid(publicJwk),
    publicJwk,
    sign: async (data) => sign('sha256', data, { key: pair.privateKey, dsaEncoding: 'ieee-p1363' }),
  };
}

/** Keys of one process in memory, endorsed for a day or more around the time given. */
export function testKeys(now: () => Date, issuer: string, root = testRoot(), days = 1): Keys {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = toPublicJwk(pair.publicKey);
  const kid = toKid(jwk);
  const from = now();
  const endorsed = signEndorsement(
    root,
    { jwk, issuer },
    new Date(from.getTime() - days * 3_600_000),
    new Date(from.getTime() + days * 86_400_000),
  );
  return {
    root,
    roots: toTrustedRoots([root.publicJwk]),
    current: async () => ({ kid, privateKey: pair.privateKey, endorsement: await endorsed }),
    isListed: async (id) => id === kid,
    list: async () => [{ ...jwk, kid, alg: 'ES256', use: 'sig', endorsement: await endorsed }],
  };
}

/**
 * A broker at noon of a fixed day, with counted ids, a fresh key pair, one target, and everything in memory. The bearer
 * token of a caller is its name.
 */
export function testBroker(changes: Partial<Broker> = {}): Broker {
  const url = new URL('https://broker.test');
  const now = changes.now ?? (() => new Date('2026-03-02T12:00:00Z'));
  let ids = 0;
  const state = changes.state ?? memoryTable();
  const keys = changes.keys ?? testKeys(now, url.origin);
  const probes = { state: async () => state.find('health', 'probe'), keys: keys.current };
  return {
    url,
    gateway: { id: 'hub', url: new URL('wss://gateway.test'), caller: gateway.id },
    limits: {
      sessionsPerCaller: 10,
      requestsPerCallerMinute: 10_000,
      requestsPerTargetMinute: 10_000,
      startsPerCallerDay: 20,
      startsPerTargetDay: 10,
      deallocateAfterMinutes: 0,
      maxSessionSeconds: 28_800,
      maxConnections: 256,
      leaseSeconds: 15,
      graceSeconds: 120,
    },
    proxyHops: 0,
    issuers: [{ issuer: ada.issuer, audience: ['api://sallyport'] }],
    identify: async (token) => {
      const caller = [ada, eve, grace, gateway].find(({ name }) => name === token);
      if (caller === undefined) throw new BrokerError('token-invalid', 'Sign in again.');
      return caller;
    },
    policy: testPolicy(),
    kinship: { samePerson: [], appOwners: {} },
    refreshPolicy: async () => undefined,
    audit: memoryAudit(),
    state,
    // With a table of its own: tests of other things count the rows and calls of the state.
    budget: testBudget({ now }),
    admitSimulation: createSimulationGate(),
    targets: testTargets(),
    keys,
    health: createHealthCheck(probes, now, () => undefined),
    mayDial: () => true,
    newId: () => {
      ids += 1;
      return `00000000-0000-4000-8000-${String(ids).padStart(12, '0')}`;
    },
    now,
    log: () => undefined,
    ...changes,
  };
}

/** The budgets of one process, in memory but for what is given. Processes that are given one table share them. */
export function testBudget(changes: Partial<BudgetParts> = {}): Budget {
  return createBudget({
    table: memoryTable(),
    audit: memoryAudit(),
    newId: randomUUID,
    now: () => new Date('2026-03-02T12:00:00Z'),
    log: () => undefined,
    ...changes,
  });
}

/** A clock that stands until it is moved. */
export function testClock(start = '2026-03-02T12:00:00Z'): {
  readonly now: () => Date;
  readonly pass: (seconds: number) => void;
} {
  let time = new Date(start).getTime();
  return {
    now: () => new Date(time),
    pass: (seconds) => {
      time += seconds * 1000;
    },
  };
}
