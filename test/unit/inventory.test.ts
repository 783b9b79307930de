import { describe, expect, test } from 'vitest';
import { parseInventory } from '../../lib/file/inventory-file.ts';

const id = '2f1b0000-0000-4000-8000-00000000bb5a';
const server = {
  id,
  name: 'db-1',
  host: '10.30.0.5',
  services: [{ protocol: 'ssh', port: 22 }],
};

function parse(...targets: readonly unknown[]) {
  return [...parseInventory(JSON.stringify({ targets }))];
}

describe('parseInventory', () => {
  test('gives targets that run, in their group of the inventory, with their hosts', () => {
    const full = { ...server, os: 'linux', tags: { env: 'prod' }, group: 'Databases' };
    expect(parse(full)).toEqual([
      [
        {
          id,
          name: 'db-1',
          source: 'inventory',
          subscription: 'inventory',
          resourceGroup: 'databases',
          os: 'linux',
          power: 'running',
          tags: { env: 'prod' },
          services: [{ protocol: 'ssh', port: 22 }],
        },
        '10.30.0.5',
      ],
    ]);
  });

  test('takes an unknown system, no tags and the default group where nothing is said', () => {
    const [[target] = []] = parse(server);
    expect(target).toMatchObject({ os: 'unknown', tags: {}, resourceGroup: 'default' });
  });

  test('puts ids, names of tags and addresses into canonical form', () => {
    const odd = { ...server, id: id.toUpperCase(), tags: { Env: 'Prod' }, host: 'FD00:0::4' };
    const [[target, host] = []] = parse(odd);
    expect(target).toMatchObject({ id, tags: { env: 'Prod' } });
    expect(host).toBe('fd00::4');
  });

  test.each([
    ['a name for an address', { ...server, host: 'db-1.example.com' }, '/targets/0/host: '],
    ['a prefix for an address', { ...server, host: '10.30.0.0/24' }, '/targets/0/host: '],
    ['an octal address', { ...server, host: '010.30.0.5' }, '/targets/0/host: '],
    ['a zone', { ...server, host: 'fe80::1%eth0' }, '/targets/0/host: '],
    ['an id that is no GUID', { ...server, id: 'db-1' }, '/targets/0/id: '],
    ['no name', { ...server, name: '' }, '/targets/0/name: '],
    ['a line break in a name', { ...server, name: 'db\n1' }, '/targets/0/name: '],
    ['no services', { ...server, services: undefined }, '/targets/0/services: '],
    [
      'an unknown protocol',
      { ...server, services: [{ protocol: 'vnc', port: 1 }] },
      '/targets/0/services/0/protocol: ',
    ],
    [
      'port 0',
      { ...server, services: [{ protocol: 'ssh', port: 0 }] },
      '/targets/0/services/0/port: ',
    ],
    ['a tag that is a number', { ...server, tags: { env: 1 } }, '/targets/0/tags/env: '],
    [
      'tags that differ only in case',
      { ...server, tags: { env: 'a', ENV: 'b' } },
      '/targets/0/tags: ',
    ],
    ['a slash in a group', { ...server, group: 'a/b' }, '/targets/0/group: '],
    ['the Kelvin sign in a group', { ...server, group: '\u212Aiosk' }, '/targets/0/group: '],
    ['a misspelt member', { ...server, sevices: [] }, '/targets/0: '],
  ])('refuses %s and says where', (_, target, place) => {
    expect(() => parse(target)).toThrow(place);
  });

  test('refuses an id that two targets have, in any case', () => {
    const twin = { ...server, id: id.toUpperCase() };
    expect(() => parse(server, twin)).toThrow('/targets/1/id: Another target has this id.');
  });

  test('names every fault at once', () => {
    const odd = { ...server, id: 'x', host: 'y' };
    expect(() => parse(server, odd)).toThrow(/^\/targets\/1\/id: .*\n\/targets\/1\/host: /);
  });

  test.each(['', '[]', '{}', '{"targets":{}}', '{"targets":[]'])('refuses the text %j', (text) => {
    expect(() => parseInventory(text)).toThrow(/./);
  });
});
