import { describe, expect, test } from 'vitest';
import { readTarget } from '../../lib/reachable-targets.ts';
import { needingPolicy } from '../support/approvals.ts';
import { loadPolicyText } from '../support/policies.ts';
import { ada, eve, testBroker, vm } from '../support/test-broker.ts';

describe('the services of a target', () => {
  test('tell what a session still needs', async () => {
    const approval = { group: 'approvers', count: 2 };
    const broker = testBroker({ policy: needingPolicy({ approval }) });

    expect((await readTarget(broker, ada, vm.id)).services).toEqual([
      {
        protocol: 'ssh',
        port: 22,
        terms: { approval },
        needs: [{ kind: 'approval', ...approval }],
      },
    ]);
    await expect(readTarget(broker, eve, vm.id)).rejects.toMatchObject({ code: 'not-found' });
  });

  test('name the bundles of terms that this caller can ask for, and no other', async () => {
    const policy = loadPolicyText(`
      @id("usual") @max_duration("1h") permit (principal, action, resource);
      @id("long") @profile("long") @max_duration("8h") @require_approval("ops")
      permit (principal, action, resource);
      @id("rdp") @profile("desktop") permit (principal, action == Action::"connect.rdp", resource);`);

    const { services } = await readTarget(
      testBroker({ policy }),
      { ...ada, id: 'tenant.ada' },
      vm.id,
    );

    expect(services).toMatchObject([
      {
        terms: { maxDurationSeconds: 3600 },
        profiles: [{ name: 'long', needs: [{ kind: 'approval', group: 'ops', count: 1 }] }],
      },
    ]);
  });
});
