import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createNetworkRule } from '../../lib/address.ts';
import { intersectNetworks, toJointTerms } from '../../lib/joint-terms.ts';
import { type Terms, termsShape } from '../../lib/terms.ts';

const limits = ['maxDurationSeconds', 'maxConnections', 'maxIdleSeconds', 'maxBytes'] as const;

// Few of each, so that two lists often meet.
const networks = [
  '10.0.0.0/8',
  '10.0.0.0/16',
  '10.1.0.0/16',
  '10.1.2.0/24',
  '10.2.0.0/16',
  '192.168.0.0/16',
  '0.0.0.0/0',
  '2001:db8::/32',
  '2001:db8:1::/48',
  '::/0',
];
const hosts = [
  '10.0.0.1',
  '10.1.2.3',
  '10.1.9.9',
  '10.2.0.1',
  '192.168.1.1',
  '8.8.8.8',
  '2001:db8:1::5',
  '::5',
];

const count = fc.integer({ min: 1, max: 5 });
const terms: fc.Arbitrary<Terms> = fc.record(
  {
    maxDurationSeconds: count,
    maxConnections: count,
    maxIdleSeconds: count,
    maxBytes: count,
    sourceNetworks: fc.subarray(networks, { minLength: 1 }),
    acr: fc.constantFrom('c1', 'c2'),
    reasonPattern: fc.constantFrom('*', 'INC*'),
    changePattern: fc.constantFrom('*', 'CHG*'),
    approval: fc.record({ group: fc.constantFrom('ops', 'sre'), count }),
    profile: fc.constantFrom('short', 'usual'),
  },
  { requiredKeys: [] },
);

/** Whether a connection from the host respects the terms. */
function isIn({ sourceNetworks }: Terms, host: string): boolean {
  return sourceNetworks === undefined || createNetworkRule(sourceNetworks)(host);
}

describe('the terms of two sets', () => {
  test('limit no less than either does, and no more than the two together', () => {
    fc.assert(
      fc.property(terms, terms, (first, second) => {
        const joint = toJointTerms(first, second);
        fc.pre(joint !== undefined);
        for (const limit of limits) {
          const lower = Math.min(first[limit] ?? Infinity, second[limit] ?? Infinity);
          expect(joint[limit] ?? Infinity).toBe(lower);
        }
        for (const host of hosts)
          expect(isIn(joint, host)).toBe(isIn(first, host) && isIn(second, host));
      }),
    );
  });

  test('do not exist when no network is in both', () => {
    fc.assert(
      fc.property(terms, terms, (first, second) => {
        const isNone = toJointTerms(first, second) === undefined;
        const isApart = hosts.every((host) => !(isIn(first, host) && isIn(second, host)));
        // Every network above holds one of the hosts.
        expect(isNone).toBe(isApart);
      }),
    );
  });

  test('state everything that either asks for, and are terms themselves', () => {
    fc.assert(
      fc.property(terms, terms, (first, second) => {
        const joint = toJointTerms(first, second);
        fc.pre(joint !== undefined);
        expect(termsShape.parse(joint)).toEqual(joint);
        for (const needed of ['acr', 'reasonPattern', 'changePattern'] as const)
          expect(joint[needed]).toBe(first[needed] ?? second[needed]);
        expect(joint.approval?.group).toBe((first.approval ?? second.approval)?.group);
      }),
    );
  });

  test('are the same in either order and when joined twice, but for what is met before', () => {
    const limiting = terms.map(({ maxBytes, maxConnections, sourceNetworks }) => ({
      ...(maxBytes === undefined ? {} : { maxBytes }),
      ...(maxConnections === undefined ? {} : { maxConnections }),
      ...(sourceNetworks === undefined ? {} : { sourceNetworks }),
    }));
    const sort = (joint: Terms | undefined) => joint && [joint, joint.sourceNetworks?.sort()];
    fc.assert(
      fc.property(limiting, limiting, (first, second) => {
        const joint = toJointTerms(first, second);
        expect(sort(toJointTerms(second, first))).toEqual(sort(joint));
        fc.pre(joint !== undefined);
        expect(sort(toJointTerms(joint, second))).toEqual(sort(joint));
      }),
    );
  });

  test('ask for the greater of two numbers of approvers of one group', () => {
    const [one, two] = [
      { group: 'ops', count: 1 },
      { group: 'ops', count: 2 },
    ] as const;

    expect(toJointTerms({ approval: one }, { approval: two })).toEqual({ approval: two });
    expect(toJointTerms({ approval: two }, { approval: one })).toEqual({ approval: two });
  });

  test('are no profile when the two are different ones', () => {
    expect(toJointTerms({ profile: 'short' }, { profile: 'usual' })).toEqual({});
    expect(toJointTerms({ profile: 'short' }, { profile: 'short' })).toEqual({ profile: 'short' });
    expect(toJointTerms({ profile: 'short' }, {})).toEqual({ profile: 'short' });
  });
});

describe('intersectNetworks', () => {
  test.each([
    [['10.0.0.0/8'], ['10.1.0.0/16'], ['10.1.0.0/16']],
    [['10.1.0.0/16'], ['10.0.0.0/8', '10.1.2.0/24'], ['10.1.0.0/16', '10.1.2.0/24']],
    // Of one base, the longer prefix is the narrower network.
    [['10.0.0.0/8'], ['10.0.0.0/16'], ['10.0.0.0/16']],
    [['10.0.0.0/16'], ['10.0.0.0/8'], ['10.0.0.0/16']],
    [['10.1.0.0/16'], ['10.2.0.0/16'], []],
    [['0.0.0.0/0'], ['::/0'], []],
    [['2001:db8::/32'], ['2001:db8:1::/48'], ['2001:db8:1::/48']],
    // The shorter prefix of another family covers nothing.
    [['10.0.0.0/8'], ['::/0'], []],
  ])('of %j and %j is %j', (first, second, common) => {
    expect(intersectNetworks(first, second)).toEqual(common);
  });
});
