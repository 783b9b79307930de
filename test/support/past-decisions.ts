import { openAudit } from '../../lib/audit-chain.ts';
import type { AuditEvent } from '../../lib/audit.ts';
import type { DecisionInput, Policy } from '../../lib/decision.ts';
import { openRootKeyFile } from '../../lib/file/root-key-file.ts';
import { openInstanceKeys } from '../../lib/instance-keys.ts';
import { toTrustedRoots } from '../../lib/root-key.ts';
import type { Table } from '../../lib/table.ts';
import { toRefusingEvent } from '../../lib/unmet.ts';
import { decisionInput } from './policies.ts';

/** The requests of so many sessions, every tenth of them for port 3389. */
export function pastInputs(count: number): readonly DecisionInput[] {
  return Array.from({ length: count }, (_, index) =>
    decisionInput({ context: { port: index % 10 === 0 ? 3389 : 22 } }),
  );
}

/** What a broker records about these requests, of the sessions `session-0`, `session-1` and so on. */
export function toPastEvents(
  policy: Policy,
  inputs: readonly DecisionInput[],
): readonly AuditEvent[] {
  return inputs.map((input, index) => {
    const session = `session-${index}`;
    const decision = policy.decide(input);
    if (decision.outcome !== 'allow') return toRefusingEvent({ session, input }, decision);
    const { policies, digest, terms } = decision;
    return { type: 'session.allowed', session, policies, digest, input, terms };
  });
}

/** Where a past is recorded, and under which root key. */
export type PastTables = {
  readonly audit: Table;
  readonly state: Table;
  readonly rootKeyFile: string;
  readonly issuer: string;
};

/** Records events at a time that has gone by, as a broker of then would have: with its own key, in a chain of its own. */
export async function recordPast(
  { audit: table, state, rootKeyFile, issuer }: PastTables,
  events: readonly AuditEvent[],
  time: Date,
): Promise<void> {
  const root = await openRootKeyFile(rootKeyFile);
  const trustedRoots = toTrustedRoots([root.publicJwk]);
  const common = { now: () => time, log: () => undefined };
  const keys = openInstanceKeys({ root, trustedRoots, state, issuer, ...common });
  const audit = openAudit({
    ...common,
    table,
    keys,
    writer: 'past',
    version: '1.0',
    policyDigest: () => 'past',
    newId: () => crypto.randomUUID(),
  });
  // More would be refused: a broker takes up to 5,000 events into memory.
  const [pageSize, pages] = [1000, Math.ceil(events.length / 1000)];
  for (let page = 0; page < pages; page += 1)
    await audit.append(events.slice(page * pageSize, (page + 1) * pageSize));
  await audit.close();
}
