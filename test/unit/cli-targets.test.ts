import { describe, expect, test } from 'vitest';
import type { Client, TargetView } from '../../cli/api-client.ts';
import { choosePort, findTarget, parseTargetName, pickByName } from '../../cli/find-target.ts';
import { prepareWish } from '../../cli/wish.ts';

function target(changes: Partial<TargetView>): TargetView {
  const id = '5a11a000-0000-4000-8000-0000000000f1';
  return { id, name: 'vm-one', os: 'linux', power: 'running', services: [], ...changes };
}

const armId =
  '/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/vm-two';
const one = target({ services: [{ protocol: 'ssh', port: 2222, terms: {} }] });
const two = target({ id: '5a11a000-0000-4000-8000-0000000000f2', name: 'vm-two', armId });

/** A client that knows two targets, and counts how often it is asked. */
function createFakeClient(): Client & { readonly calls: string[] } {
  const calls: string[] = [];
  const fail = async (): Promise<never> => Promise.reject(new Error('not part of this test'));
  return {
    calls,
    whoami: fail,
    openSession: fail,
    readSession: fail,
    listSessions: fail,
    createTicket: fail,
    extendSession: fail,
    terminate: fail,
    readOperation: fail,
    listApprovals: fail,
    decide: fail,
    listTargets: async () => {
      calls.push('list');
      return Promise.resolve([one, two]);
    },
    findTarget: async (id) => {
      calls.push(id);
      return Promise.resolve([one, two].find((known) => known.id === id));
    },
  };
}

describe('parseTargetName', () => {
  test('tells ids, resource ids and names apart', () => {
    expect(parseTargetName(one.id.toUpperCase())).toEqual({ kind: 'id', text: one.id });
    expect(parseTargetName(armId).kind).toBe('arm');
    expect(parseTargetName('vm-one').kind).toBe('name');
  });
});

describe('pickByName', () => {
  test('finds a name in whatever case, and prefers the exact one', () => {
    const upper = target({ id: two.id, name: 'VM-ONE' });

    expect(pickByName([two, one], 'Vm-OnE')).toBe(one);
    expect(pickByName([upper, one], 'vm-one')).toBe(one);
  });

  test('asks for an id when the name is that of several', () => {
    const twin = target({ id: two.id, armId });

    expect(() => pickByName([one, twin], 'vm-one')).toThrow(
      expect.objectContaining({ exitCode: 2, notes: [one.id, `${two.id}  ${armId}`] }),
    );
  });

  test('fails with 5 for a name that is not there', () => {
    expect(() => pickByName([one], 'vm')).toThrow(expect.objectContaining({ exitCode: 5 }));
  });
});

describe('findTarget', () => {
  test('keeps an id that the broker does not show, so that policy can say why', async () => {
    const id = '5a11a000-0000-4000-8000-0000000000f9';

    expect(await findTarget(createFakeClient(), parseTargetName(id))).toEqual({ reference: id });
  });

  test('finds a resource id in whatever case', async () => {
    const found = await findTarget(createFakeClient(), parseTargetName(armId.toUpperCase()));

    expect(found.reference).toBe(two.id);
  });
});

describe('choosePort', () => {
  test.each([
    ['ssh', [], 22],
    ['rdp', [], 3389],
    ['ssh', [{ protocol: 'ssh', port: 2222, terms: {} }], 2222],
    [
      'ssh',
      [
        { protocol: 'ssh', port: 2222, terms: {} },
        { protocol: 'ssh', port: 22, terms: {} },
      ],
      22,
    ],
    ['tcp', [{ protocol: 'tcp', port: 5432, terms: {} }], 5432],
  ] as const)('asks for %s of %j on %i', (protocol, services, port) => {
    expect(choosePort(protocol, target({ services: [...services] }))).toBe(port);
  });

  test('asks the user where tcp has no port', () => {
    expect(() => choosePort('tcp', undefined)).toThrow(expect.objectContaining({ exitCode: 2 }));
  });
});

describe('prepareWish', () => {
  test('asks the broker nothing when id and port are given', async () => {
    const client = createFakeClient();

    const wish = await prepareWish(client, one.id, { port: '22', duration: '30m' });

    const known = { target: one.id, protocol: 'ssh', port: 22, durationSeconds: 1800 };
    expect(wish).toEqual(known);
    expect(client.calls).toEqual([]);
  });

  test('looks the port of an id up', async () => {
    expect(await prepareWish(createFakeClient(), one.id, {})).toMatchObject({ port: 2222 });
  });

  test('refuses a wrong option before it asks the broker', async () => {
    const client = createFakeClient();

    await expect(prepareWish(client, 'vm-one', { duration: 'long' })).rejects.toThrow('duration');
    expect(client.calls).toEqual([]);
  });
});
