import type { Caller } from './caller.ts';
import type { DecisionInput } from './decision.ts';

/** What the operator knows about who belongs to whom. */
export type Kinship = {
  /** Caller ids that are one person, for example with an account for administration. */
  readonly samePerson: readonly (readonly string[])[];
  /** The caller ids of the owners of an app, by its client id. An app that is not listed could be anyone's. */
  readonly appOwners: Readonly<Record<string, readonly string[]>>;
};

/** How an approver stands too close to the one who asks. */
export type Relation =
  | 'self'
  | 'same-person'
  | 'delegation-giver'
  | 'under-delegation'
  | 'owner-of-workload'
  | 'owner-unknown'
  | 'workload'
  | 'same-app'
  | 'app-of-requester';

/** Who asks, and for whom. */
type Requester = Pick<DecisionInput, 'caller' | 'onBehalfOf'>;

type Approver = Pick<Caller, 'id' | 'kind' | 'app' | 'onBehalfOf'>;

/**
 * Returns why the approver may not decide about what the requester asks; undefined when nothing stands against it. Fails
 * closed: what is not known about an app counts against it. Roles make no difference.
 */
export function findRelation(
  { samePerson, appOwners }: Kinship,
  { caller: requester, onBehalfOf: person }: Requester,
  approver: Approver,
): Relation | undefined {
  const isOne = (a: string, b: string): boolean => isSamePerson(samePerson, a, b);
  const owners = appOwners[requester.app.toLowerCase()];
  const isOwner = owners?.some((owner) => isOne(owner, approver.id)) === true;
  const isWorkload = requester.kind === 'workload';
  const requesters = person === undefined ? [requester.id] : [requester.id, person.id];
  const approverApp = appOwners[approver.app.toLowerCase()] ?? [];
  const rules: readonly (readonly [Relation, boolean])[] = [
    ['self', isEqual(requester.id, approver.id)],
    ['same-person', isOne(requester.id, approver.id)],
    // Without their delegation there would be no request, and the one who uses it knows whose it is.
    ['delegation-giver', person !== undefined && isOne(person.id, approver.id)],
    // Whoever decides does so in person.
    ['under-delegation', approver.onBehalfOf !== undefined],
    // What a program approves, whoever runs it approves.
    ['workload', approver.kind !== 'person'],
    ['owner-of-workload', isWorkload && isOwner],
    ['owner-unknown', isWorkload && owners === undefined],
    // The app holds the token of the approver, and could use it without asking.
    ['same-app', isWorkload && isEqual(requester.app, approver.app)],
    ['app-of-requester', approverApp.some((owner) => requesters.some((id) => isOne(owner, id)))],
  ];
  return rules.find(([, isMet]) => isMet)?.[0];
}

/** Whether two caller ids are those of one person, as far as the operator has listed them. */
export function isSamePerson(
  samePerson: Kinship['samePerson'],
  first: string,
  second: string,
): boolean {
  const includes = (ids: readonly string[], id: string): boolean =>
    ids.some((one) => isEqual(one, id));
  return (
    isEqual(first, second) ||
    samePerson.some((ids) => includes(ids, first) && includes(ids, second))
  );
}

function isEqual(first: string, second: string): boolean {
  return first.toLowerCase() === second.toLowerCase();
}
