import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BrokerError } from '../../lib/failure.ts';
import { parseTargetReference } from '../../lib/target-reference.ts';

const group = '/subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/rg-app/providers';
const vm = `${group}/Microsoft.Compute/virtualMachines/vm-web-1`;

function readRefusal(text: string): BrokerError {
  try {
    parseTargetReference(text);
  } catch (error) {
    if (error instanceof BrokerError) return error;
  }
  throw new Error('it was not refused');
}

describe('parseTargetReference', () => {
  test('takes a target id in any case and gives it in lower case', () => {
    fc.assert(
      fc.property(fc.uuid(), (id) => {
        const reference = { kind: 'id', id };
        expect(parseTargetReference(id.toUpperCase())).toEqual(reference);
        expect(parseTargetReference(id)).toEqual(reference);
      }),
    );
  });

  test('takes the ARM id of a VM or of a scale-set instance and gives it in lower case', () => {
    const instance = `${group}/Microsoft.Compute/virtualMachineScaleSets/ss/virtualMachines/3`;
    for (const armId of [vm, instance, vm.toUpperCase()])
      expect(parseTargetReference(armId)).toEqual({ kind: 'arm', armId: armId.toLowerCase() });
  });

  test.each([
    ['a network interface', `${group}/Microsoft.Network/networkInterfaces/nic-web-1`],
    ['a name', 'vm-web-1'],
    ['an address', '10.20.0.4'],
    ['a GUID in braces', '{2f1b0000-0000-4000-8000-00000000bb5a}'],
    ['a GUID with full-width digits', '２f1b0000-0000-4000-8000-00000000bb5a'],
    ['a GUID and a line break', '2f1b0000-0000-4000-8000-00000000bb5a\n'],
    ['a VM with the Kelvin sign for a letter', vm.replace('vm-web-1', '\u212Aiosk')],
  ])('refuses %s and points at the target', (_, text) => {
    const { code, details } = readRefusal(text);
    expect({ code, details }).toMatchObject({
      code: 'request-invalid',
      details: { faults: [{ pointer: '/target' }] },
    });
  });

  test('does not repeat what it refuses', () => {
    const { message, details } = readRefusal('hunter2');
    expect(message + JSON.stringify(details)).not.toContain('hunter2');
  });
});
