import type { Protocol } from '../lib/target.ts';
import type { Client, SessionWish } from './api-client.ts';
import { parseDuration, parsePort } from './argument.ts';
import { choosePort, findTarget, parseProtocol, parseTargetName } from './find-target.ts';

/** The options of every command that asks for a session, as they were typed. */
export type WishOptions = {
  readonly port?: string;
  readonly protocol?: string;
  readonly duration?: string;
  readonly reason?: string;
  readonly change?: string;
  /** The name of a bundle of terms. */
  readonly terms?: string;
  readonly start?: boolean;
  /** The id of the delegation by which a workload asks in the name of a person. */
  readonly delegation?: string;
};

/** Returns what to ask the broker for. Looks the target up only when its name or its port has to be found out. */
export async function prepareWish(
  client: Client,
  target: string,
  options: WishOptions,
): Promise<SessionWish & { readonly port: number }> {
  const protocol = parseProtocol(options.protocol ?? 'ssh');
  const wanted = parseWish(options);
  const place = await findPlace(client, target, protocol, options.port);
  return { ...place, protocol, ...wanted };
}

/** Returns the part of a request that does not depend on the target. Fails with a usage error. */
export function parseWish({
  duration,
  reason,
  change,
  terms,
  start,
  delegation,
}: WishOptions): Omit<SessionWish, 'target' | 'protocol' | 'port'> {
  return {
    ...(duration === undefined ? {} : { durationSeconds: parseDuration(duration) }),
    ...(reason === undefined ? {} : { reason }),
    ...(change === undefined ? {} : { change }),
    ...(terms === undefined ? {} : { profile: terms }),
    ...(start === true ? { start } : {}),
    ...(delegation === undefined ? {} : { delegation }),
  };
}

async function findPlace(
  client: Client,
  target: string,
  protocol: Protocol,
  portText: string | undefined,
): Promise<{ readonly target: string; readonly port: number }> {
  const name = parseTargetName(target);
  const port = portText === undefined ? undefined : parsePort(portText);
  if (port !== undefined && name.kind !== 'name') return { target: name.text, port };
  const { reference, view } = await findTarget(client, name);
  return { target: reference, port: port ?? choosePort(protocol, view) };
}
