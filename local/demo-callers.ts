/** A made-up caller of the local issuer, in the words of an Entra token. */
export interface DemoCaller {
  /** The name to pick, and the client id under which the caller gets tokens without a browser. */
  readonly name: string;
  readonly kind: 'user' | 'app';
  readonly displayName: string;
  /** The object id: with `tenantId` it is the caller's identity. */
  readonly oid: string;
  readonly roles: readonly string[];
  readonly groups: readonly string[];
}

/** The tenant of every local caller. */
export const tenantId = '5a11a000-0000-4000-8000-000000000000';

/** Members may open sessions by the shipped policies. */
export const operatorsGroup = '90000000-0000-4000-8000-000000000001';

/** Members may decide approvals by the shipped policies. */
export const approversGroup = '90000000-0000-4000-8000-000000000002';

/** The audience of every access token. */
export const audience = 'api://sallyport';

/** The public client of the command line, allowed the device code flow. */
export const cliClientId = 'sallyport-cli';

/** The callers to play with. None of them has a password: the issuer answers on loopback alone. */
export const demoCallers: readonly DemoCaller[] = [
  {
    name: 'ada',
    kind: 'user',
    displayName: 'Ada Operator',
    oid: '5a11a000-0000-4000-8000-000000000001',
    roles: [],
    groups: [operatorsGroup],
  },
  {
    name: 'grace',
    kind: 'user',
    displayName: 'Grace Approver',
    oid: '5a11a000-0000-4000-8000-000000000002',
    roles: [
      'Session.Read.All',
      'Session.Terminate.All',
      'Approval.Decide',
      'Policy.Read',
      'Audit.Read',
      'Lock.Manage',
    ],
    groups: [approversGroup],
  },
  {
    name: 'eve',
    kind: 'user',
    displayName: 'Eve Nobody',
    oid: '5a11a000-0000-4000-8000-000000000003',
    roles: [],
    groups: [],
  },
  {
    name: 'pipeline',
    kind: 'app',
    displayName: 'Deployment pipeline',
    oid: '5a11a000-0000-4000-8000-000000000004',
    roles: ['Session.Request'],
    groups: [],
  },
];

/** The identity of the local gateway: a workload, not one of the callers to play with. */
export const gatewayCaller: DemoCaller = {
  name: 'gateway',
  kind: 'app',
  displayName: 'Gateway',
  oid: '5a11a000-0000-4000-8000-000000000005',
  roles: ['Gateway'],
  groups: [],
};

/** Returns the claims of the caller's access token, of the shape that Entra's version 2.0 gives. */
export function toClaims(caller: DemoCaller, clientId: string): Record<string, unknown> {
  const { displayName, groups, kind, name, oid, roles } = caller;
  const common = {
    tid: tenantId,
    oid,
    sub: oid,
    ver: '2.0',
    idtyp: kind,
    azp: clientId,
    // Entra leaves a claim out where another would give an empty list.
    ...(roles.length > 0 && { roles }),
  };
  if (kind === 'app') return common;
  return {
    ...common,
    scp: 'Session.Request',
    name: displayName,
    preferred_username: `${name}@sallyport.local`,
    ...(groups.length > 0 && { groups }),
  };
}
