import { protocols } from '../lib/target.ts';
import type { Protocol } from '../lib/target.ts';
import type { Client, TargetView } from './api-client.ts';
import { CommandError } from './command-error.ts';
import { exitCodes } from './exit-code.ts';

/** How a user names a target: by its id, its ARM resource id, or its name. */
export type TargetName = {
  readonly kind: 'id' | 'arm' | 'name';
  readonly text: string;
};

/** A target as far as it is known. */
export type FoundTarget = {
  /** What a session request names: the target's id, or the ARM resource id where that is all there is. */
  readonly reference: string;
  /** What the broker shows of it; absent when it shows nothing, which policy explains when a session is asked for. */
  readonly view?: TargetView;
};

const guid = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i;

/** Returns which of the three the text is. */
export function parseTargetName(text: string): TargetName {
  if (guid.test(text)) return { kind: 'id', text: text.toLowerCase() };
  if (/^\/subscriptions\//i.test(text)) return { kind: 'arm', text };
  return { kind: 'name', text };
}

/** Returns the protocol, or fails with a usage error. */
export function parseProtocol(text: string): Protocol {
  const protocol = protocols.find((known) => known === text);
  if (protocol !== undefined) return protocol;
  throw new CommandError(
    exitCodes.usage,
    `The protocol is ${protocols.join(', ')}, not '${text}'.`,
  );
}

/** Looks the target up at the broker. Fails when a name is not there, or is that of several. */
export async function findTarget(client: Client, name: TargetName): Promise<FoundTarget> {
  if (name.kind === 'id') {
    const view = await client.findTarget(name.text);
    return { reference: name.text, ...(view === undefined ? {} : { view }) };
  }
  const targets = await client.listTargets();
  if (name.kind === 'name') return toFound(pickByName(targets, name.text));
  const view = targets.find(({ armId }) => armId?.toLowerCase() === name.text.toLowerCase());
  return view === undefined ? { reference: name.text } : toFound(view);
}

/** Returns the one target of that name, in whatever case; an exact match wins. */
export function pickByName(targets: readonly TargetView[], name: string): TargetView {
  const similar = targets.filter((target) => target.name.toLowerCase() === name.toLowerCase());
  const exact = similar.filter((target) => target.name === name);
  const candidates = exact.length > 0 ? exact : similar;
  const [only, ...others] = candidates;
  if (only === undefined)
    throw new CommandError(
      exitCodes.notFound,
      `You can reach no target named '${name}' now. sallyport targets lists those you can; ask by its id to learn why.`,
    );
  if (others.length === 0) return only;
  const notes = candidates.map(({ id, armId }) => [id, armId].filter(Boolean).join('  '));
  throw new CommandError(
    exitCodes.usage,
    `${candidates.length} targets are named '${name}'. Give the id of one.`,
    { notes },
  );
}

const usualPorts: Readonly<Record<Protocol, number | undefined>> = {
  ssh: 22,
  rdp: 3389,
  tcp: undefined,
};

/** Returns the port to ask for: the usual one, unless the target offers this protocol only elsewhere. */
export function choosePort(protocol: Protocol, view: TargetView | undefined): number {
  const usual = usualPorts[protocol];
  const offered = (view?.services ?? [])
    .filter((service) => service.protocol === protocol)
    .map(({ port }) => port);
  const port =
    usual === undefined || (offered.length > 0 && !offered.includes(usual)) ? offered[0] : usual;
  if (port !== undefined) return port;
  throw new CommandError(
    exitCodes.usage,
    `Give the port with --port: ${protocol} has no usual one.`,
  );
}

function toFound(view: TargetView): FoundTarget {
  return { reference: view.id, view };
}
