import type { Broker } from '../../lib/broker.ts';
import type { Caller } from '../../lib/caller.ts';
import type { DelegationRequest, DelegationView } from '../../lib/delegation.ts';
import { giveDelegation } from '../../lib/give-delegation.ts';
import { revokeDelegation } from '../../lib/revoke-delegation.ts';
import { loadPolicyText } from './policies.ts';
import { ada, eve, grace, memoryAudit, testBroker, testClock, vm } from './test-broker.ts';

export const delegationId = 'de1e0000-0000-4000-8000-000000000001';

/** A workload that may ask for sessions. */
export const bot: Caller = {
  ...ada,
  id: ada.id.replace('ada', 'bot'),
  kind: 'workload',
  app: 'ci',
  name: 'bot',
};

/** Another one. */
export const robot: Caller = { ...bot, id: ada.id.replace('ada', 'robot'), name: 'robot' };

/** Every workload and every person but eve may do everything: what a test shows hangs on the delegation alone. */
export const botsAndPeople = `
  @id("bots") permit (principal is ServicePrincipal, action, resource);
  @id("people") permit (principal is User, action, resource);
  @id("eve") forbid (principal == User::"${eve.id}", action, resource);
  @id("bots-alone") forbid (principal is ServicePrincipal, action, resource)
  unless { context has onBehalfOf };`;

/** What ada gives bot when it does not matter: SSH to the target of the test broker, for an hour from its noon on. */
export const gift: DelegationRequest = {
  to: bot.id,
  targets: [vm.id],
  services: [{ protocol: 'ssh', port: 22 }],
  expiresAt: '2026-03-02T13:00:00Z',
  limits: {},
  purpose: 'Deploy the shop.',
};

/** A broker whose callers are known by name, with its clock and its audit log. Workloads may do nothing for themselves. */
export function startDelegating(changes: Partial<Broker> & { readonly policies?: string } = {}) {
  const { policies = botsAndPeople, ...parts } = changes;
  const clock = testClock();
  const audit = memoryAudit();
  const plain = testBroker({ now: clock.now, audit, policy: loadPolicyText(policies), ...parts });
  const broker: Broker = {
    ...plain,
    identify: async (token) =>
      [bot, robot].find(({ name }) => name === token) ?? plain.identify(token),
  };
  return { broker, audit, clock };
}

/** Gives bot a delegation of ada's. */
export async function give(
  broker: Broker,
  changes: Partial<DelegationRequest> & { readonly id?: string; readonly giver?: Caller } = {},
): Promise<DelegationView> {
  const { id = delegationId, giver = ada, ...wish } = changes;
  return (await giveDelegation(broker, giver, id, { ...gift, ...wish })).view;
}

/** Who holds every role there is for people. */
export const operator: Caller = {
  ...grace,
  roles: ['Session.Request', 'Session.Read.All', 'Session.Terminate.All', 'Approval.Decide'],
};

/** What bot asks for under the delegation when it does not matter. */
export const delegated = { caller: bot, delegation: delegationId };

/** Returns bot with a token that says that it acts for somebody. */
export function actingFor({ id, issuer, name }: Caller): Caller {
  return { ...bot, onBehalfOf: { id, issuer, name, app: 'sts', groups: [] } };
}

/** Marks the delegation as revoked and does no more, as a process does that dies there. */
export async function revokeAndDie(broker: Broker): Promise<void> {
  const list = async (): Promise<never> => Promise.reject(new Error('died'));
  const dead = { ...broker, state: { ...broker.state, list } };
  const died = await revokeDelegation(dead, ada, delegationId).catch((failure: unknown) => failure);
  if (String(died) !== 'Error: died') throw new Error('the process lived on');
}
