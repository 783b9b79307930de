import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseArmId, parseVmId } from '../../lib/arm-id.ts';

const subscription = '11111111-1111-4111-8111-111111111111';
const group = `/subscriptions/${subscription}/resourceGroups/rg-app`;
const vm = `${group}/providers/Microsoft.Compute/virtualMachines/vm-web-1`;
const instance = `${group}/providers/Microsoft.Compute/virtualMachineScaleSets/ss-uni/virtualMachines/3`;
const nic = `${group}/providers/Microsoft.Network/networkInterfaces/nic-web-1`;

/** The id with each letter in a case of its own. */
function inAnyCase(id: string): fc.Arbitrary<string> {
  return fc
    .array(fc.boolean(), { minLength: id.length, maxLength: id.length })
    .map((upper) =>
      id.replaceAll(/./g, (c, at: number) =>
        upper[at] === true ? c.toUpperCase() : c.toLowerCase(),
      ),
    );
}

describe('parseArmId', () => {
  test('reads a VM, an instance of a scale set and a network interface', () => {
    const place = { subscription, resourceGroup: 'rg-app' };
    expect(parseArmId(vm)).toEqual({
      ...place,
      kind: 'vm',
      name: 'vm-web-1',
      canonical: vm.toLowerCase(),
    });
    expect(parseArmId(instance)).toEqual({
      ...place,
      kind: 'scale-set-vm',
      scaleSet: 'ss-uni',
      instance: '3',
      canonical: instance.toLowerCase(),
    });
    expect(parseArmId(nic)).toEqual({
      ...place,
      kind: 'nic',
      name: 'nic-web-1',
      canonical: nic.toLowerCase(),
    });
  });

  test('gives every spelling of an id in another case the same parts', () => {
    const spellings = fc
      .constantFrom(vm, instance, nic)
      .chain((id) => fc.tuple(fc.constant(id), inAnyCase(id)));
    fc.assert(
      fc.property(spellings, ([id, spelling]) => {
        expect(parseArmId(spelling)).toEqual(parseArmId(id));
        expect(parseArmId(spelling)).toBeDefined();
      }),
    );
  });

  // The Kelvin sign lower-cases to "k" and the long s upper-cases to "S": after that nobody can tell.
  test('refuses an id with any character outside ASCII, look-alikes included', () => {
    const foreign = fc.oneof(
      fc.constantFrom('\u212A', '\u017F', '\u0130', '\uFF0F', '\u2215', '\u00A0', '\uFEFF'),
      fc.integer({ min: 0x7f, max: 0x10_ffff }).map((code) => String.fromCodePoint(code)),
    );
    fc.assert(
      fc.property(foreign, fc.nat(vm.length), fc.nat(1), (character, at, replaced) => {
        const text = vm.slice(0, at) + character + vm.slice(at + replaced);
        return parseArmId(text) === undefined;
      }),
    );
    const kiosk = vm.replace('vm-web-1', 'kiosk');
    expect(parseArmId(kiosk)).toBeDefined();
    expect(parseArmId(kiosk.replace('k', '\u212A'))).toBeUndefined();
  });

  test.each([
    ['a trailing slash', `${vm}/`],
    ['a doubled slash', vm.replace('/providers', '//providers')],
    ['no leading slash', vm.slice(1)],
    ['an encoded slash', vm.replace('/vm-web-1', '%2Fvm-web-1')],
    ['an encoded letter', vm.replace('vm-web-1', '%76m-web-1')],
    ['an encoded dot segment', vm.replace('rg-app', '%2e%2e')],
    ['a dot segment as group', vm.replace('rg-app', '..')],
    ['a dot as group', vm.replace('rg-app', '.')],
    ['a dot segment as name', vm.replace('vm-web-1', '..')],
    ['a dot as name', vm.replace('vm-web-1', '.')],
    ['a group that ends in a dot', vm.replace('rg-app', 'rg.')],
    ['two subscriptions', `/subscriptions/${subscription}${vm}`],
    ['two ids', vm + vm],
    ['a child resource', `${vm}/extensions/x`],
    ['a subscription that is no GUID', vm.replace(subscription, 'subid')],
    ['an empty group', vm.replace('rg-app', '')],
    ['an empty name', vm.replace('vm-web-1', '')],
    ['a group of 91 characters', vm.replace('rg-app', 'g'.repeat(91))],
    ['a name of 81 characters', vm.replace('vm-web-1', 'v'.repeat(81))],
    ['another provider', vm.replace('Microsoft.Compute', 'Microsoft.ClassicCompute')],
    ['a provider with any character for the dot', vm.replace('Microsoft.', 'MicrosoftX')],
    ['an instance that is no number', instance.replace(/3$/, 'ss_3f2a')],
    ['an instance with a leading zero', instance.replace(/3$/, '03')],
    ['a query', `${vm}?api-version=1`],
    ['a fragment', `${vm}#x`],
    ['a host', `https://management.azure.com${vm}`],
    ['a blank at the end', `${vm} `],
    ['a line break at the end', `${vm}\n`],
    ['a backslash', vm.replaceAll('/', '\\')],
    ['nothing', ''],
  ])('refuses %s', (_, text) => {
    expect(parseArmId(text)).toBeUndefined();
  });

  test.each(['(rg)_a.b-c', '_', 'g'.repeat(90)])('takes the group name %s', (name) => {
    expect(parseArmId(vm.replace('rg-app', name))).toMatchObject({ resourceGroup: name });
  });
});

describe('parseVmId', () => {
  test('takes what one can connect to, and no network interface', () => {
    expect(parseVmId(vm)?.kind).toBe('vm');
    expect(parseVmId(instance)?.kind).toBe('scale-set-vm');
    expect(parseVmId(nic)).toBeUndefined();
  });
});
