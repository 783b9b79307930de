import { SocketAddress, isIP } from 'node:net';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createDialRule, parseAddress } from '../../lib/address.ts';

describe('parseAddress', () => {
  test.each([
    ['10.0.0.4', '10.0.0.4'],
    ['255.255.255.255', '255.255.255.255'],
    ['FD00:0:0:0:0:0:0:1', 'fd00::1'],
    ['fd00::0001', 'fd00::1'],
    ['::', '::'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['1::', '1::'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
    ['10:0:0:a0:0a:0:0:0', '10:0:0:a0:a::'],
    ['::FFFF:A00:4', '::ffff:10.0.0.4'],
    ['::ffff:10.0.0.4', '::ffff:10.0.0.4'],
    ['64:ff9b::10.0.0.4', '64:ff9b::a00:4'],
    ['0:0:0:0:0:0:10.0.0.4', '::a00:4'],
  ])('writes %s as %s', (text, canonical) => {
    expect(parseAddress(text)).toBe(canonical);
  });

  test.each([
    ['nothing', ''],
    ['a name', 'localhost'],
    ['a number', '2130706433'],
    ['a hexadecimal number', '0x7f000001'],
    ['hexadecimal parts', '0x7f.0.0.1'],
    ['octal parts', '0177.0.0.1'],
    ['a leading zero', '10.0.0.04'],
    ['two parts', '127.1'],
    ['three parts', '169.254.43518'],
    ['five parts', '10.0.0.4.5'],
    ['an empty part', '10..0.4'],
    ['a part above 255', '10.0.0.256'],
    ['a negative part', '10.0.0.-4'],
    ['a trailing dot', '10.0.0.4.'],
    ['full-width digits', '１０.0.0.4'],
    ['Arabic digits', '١٠.0.0.4'],
    ['an ideographic full stop', '10。0。0。4'],
    ['a circled digit', '①0.0.0.4'],
    ['a leading blank', ' 10.0.0.4'],
    ['a trailing blank', '10.0.0.4 '],
    ['a trailing line feed', '10.0.0.4\n'],
    ['a NUL', '10.0.0.4\0'],
    ['a port', '10.0.0.4:22'],
    ['a prefix', '10.0.0.4/32'],
    ['a user', 'a@10.0.0.4'],
    ['percent signs', '%31%30.0.0.4'],
    ['brackets', '[fd00::1]'],
    ['a zone', 'fe80::1%eth0'],
    ['a numeric zone', 'fe80::1%1'],
    ['two gaps', '1::2::3'],
    ['three colons', ':::'],
    ['a gap that stands for nothing', '1:2:3:4::5:6:7:8'],
    ['seven groups', '1:2:3:4:5:6:7'],
    ['nine groups', '1:2:3:4:5:6:7:8:9'],
    ['nine groups with a gap', '::1:2:3:4:5:6:7:8:9'],
    ['a lone colon at the start', ':1:2:3:4:5:6:7:8'],
    ['a lone colon at the end', '1:2:3:4:5:6:7:8:'],
    ['five digits in a group', 'fd00::00001'],
    ['a letter that is no digit', 'fd00::g'],
    ['a full-width digit in a group', 'fd00::１'],
    ['a quad in the middle', '::10.0.0.4:1'],
    ['a quad that is not one', '::ffff:0x7f.0.0.1'],
    ['a quad with leading zeros', '::ffff:010.0.0.4'],
    ['a quad behind one group', '1:10.0.0.4'],
    ['a quad behind a gap that stands for nothing', '1:2:3:4:5:6::10.0.0.4'],
    ['a prefix of IPv6', 'fd00::/8'],
  ])('is undefined for %s', (_what, text) => {
    expect(parseAddress(text)).toBeUndefined();
  });

  test('writes every IPv6 address as the platform does, whatever its spelling', () => {
    const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }));
    const groups = fc.array(group, { minLength: 8, maxLength: 8 });
    fc.assert(
      fc.property(groups, fc.boolean(), (parts, upper) => {
        const text = parts.map((part) => part.toString(16).padStart(4, '0')).join(':');
        const canonical = parseAddress(upper ? text.toUpperCase() : text);

        expect(isIP(canonical ?? '')).toBe(6);
        expect(toPlatformForm(canonical ?? '')).toBe(toPlatformForm(text));
        expect(parseAddress(toPlatformForm(text))).toBe(canonical);
        expect(canonical?.length).toBeLessThanOrEqual(toPlatformForm(text).length);
      }),
    );
  });

  test('never believes text that the platform does not', () => {
    const text = fc.string({ unit: fc.constantFrom(...'0123456789abfx.:%[]/ １'.split('')) });
    fc.assert(
      fc.property(text, (text) => {
        expect(parseAddress(text) !== undefined && isIP(text) === 0).toBe(false);
      }),
      { numRuns: 500 },
    );
  });
});

describe('createDialRule', () => {
  // SSRF (threat 8): a gateway must not be made to dial the metadata service, itself or the platform.
  test.each([
    ['unspecified', '0.0.0.0'],
    ['this network', '0.1.2.3'],
    ['loopback', '127.0.0.1'],
    ['loopback, another', '127.255.255.254'],
    ['loopback in hexadecimal', '0x7f000001'],
    ['loopback in hexadecimal parts', '0x7f.0.0.1'],
    ['loopback in hexadecimal, short', '0x7f.1'],
    ['loopback in octal', '0177.0.0.1'],
    ['loopback as a number', '2130706433'],
    ['loopback, short', '127.1'],
    ['loopback with zeros', '127.000.000.001'],
    ['loopback in full-width digits', '１２７.0.0.1'],
    ['loopback with ideographic stops', '127。0。0。1'],
    ['loopback by name', 'localhost'],
    ['loopback with a trailing dot', '127.0.0.1.'],
    ['metadata', '169.254.169.254'],
    ['metadata, three parts', '169.254.43518'],
    ['metadata as a number', '2852039166'],
    ['metadata in hexadecimal', '0xa9fea9fe'],
    ['metadata in octal', '0251.0376.0251.0376'],
    ['metadata with a blank', ' 169.254.169.254'],
    ['metadata with a port', '169.254.169.254:80'],
    ['metadata with percent signs', '169.254.169.%32%35%34'],
    ['link-local', '169.254.0.1'],
    ['wire server', '168.63.129.16'],
    ['metadata of Alibaba', '100.100.100.200'],
    ['metadata of Oracle', '192.0.0.192'],
    ['multicast', '224.0.0.1'],
    ['reserved', '240.0.0.1'],
    ['broadcast', '255.255.255.255'],
    ['IPv6 unspecified', '::'],
    ['IPv6 unspecified, long', '0:0:0:0:0:0:0:0'],
    ['IPv6 loopback', '::1'],
    ['IPv6 loopback, long', '0:0:0:0:0:0:0:1'],
    ['IPv6 loopback in brackets', '[::1]'],
    ['IPv4-mapped loopback', '::ffff:127.0.0.1'],
    ['IPv4-mapped loopback in groups', '::ffff:7f00:1'],
    ['IPv4-mapped metadata', '::ffff:169.254.169.254'],
    ['IPv4-mapped metadata in groups', '::ffff:a9fe:a9fe'],
    ['IPv4-mapped metadata in capitals', '::FFFF:A9FE:A9FE'],
    ['IPv4-mapped private', '::ffff:10.0.0.4'],
    ['IPv4-translated metadata', '::ffff:0:a9fe:a9fe'],
    ['IPv4-compatible metadata', '::a9fe:a9fe'],
    ['IPv4-compatible metadata as a quad', '::169.254.169.254'],
    ['NAT64 metadata', '64:ff9b::a9fe:a9fe'],
    ['NAT64 metadata as a quad', '64:ff9b::169.254.169.254'],
    ['NAT64 local', '64:ff9b:1::a9fe:a9fe'],
    ['6to4 metadata', '2002:a9fe:a9fe::1'],
    ['Teredo', '2001:0:a9fe:a9fe::1'],
    ['Teredo, canonical', '2001::a9fe:a9fe'],
    ['IPv6 link-local', 'fe80::1'],
    ['IPv6 link-local with a zone', 'fe80::1%eth0'],
    ['IPv6 link-local, upper end', 'febf::1'],
    ['IPv6 multicast', 'ff02::1'],
    ['metadata of AWS', 'fd00:ec2::254'],
    ['metadata of Oracle in IPv6', 'fd00:c1::a9fe:a9fe'],
    ['metadata of Google', 'fd20:ce::254'],
    ['a private address with a blank', '10.0.0.4 '],
    ['a private address in capitals', 'FD00::1'],
    ['a private address, not shortened', 'fd00:0::1'],
    ['a range', '10.0.0.0/8'],
    ['nothing', ''],
  ])('never dials %s', (_what, host) => {
    expect(createDialRule([])(host)).toBe(false);
  });

  test.each([
    '10.0.0.4',
    '172.16.0.4',
    '192.168.1.4',
    '100.64.0.4',
    '168.63.129.17',
    '169.253.255.255',
    '169.255.0.0',
    '223.255.255.255',
    'fd00::4',
    'fd00:ec3::254',
    '2001:db8::4',
    '2003::4',
    'fec0::4',
  ])('dials %s', (host) => {
    expect(createDialRule([])(host)).toBe(true);
  });

  test('dials what the operator listed, and nothing beside it', () => {
    const mayDial = createDialRule(['127.0.0.0/30', '::1/128']);

    expect(['127.0.0.0', '127.0.0.3', '::1'].every(mayDial)).toBe(true);
    expect(['127.0.0.4', '169.254.169.254', '::2', '::ffff:127.0.0.1'].some(mayDial)).toBe(false);
  });

  test('refuses another spelling of an address that the operator listed', () => {
    const mayDial = createDialRule(['127.0.0.0/8', '::/8']);

    expect(['127.1', '0x7f000001', '::0001', '0:0:0:0:0:0:0:1'].some(mayDial)).toBe(false);
  });

  test.each([
    '',
    '10.0.0.0',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/8/8',
    '10.0.0.1/8',
    '10.0.0.0/-1',
    '10/8',
    'fd00::/129',
    'fd00::1/64',
    '0.0.0.0/0',
    '::/0',
    '128.0.0.0/1',
    'localhost/8',
  ])('names the bad range "%s"', (range) => {
    expect(() => createDialRule(['10.0.0.0/8', range])).toThrow(`"${range}"`);
  });
});

function toPlatformForm(text: string): string {
  return new SocketAddress({ address: text, family: 'ipv6' }).address;
}
