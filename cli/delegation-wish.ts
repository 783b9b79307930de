import type { DelegationRequest } from '../lib/delegation.ts';
import type { Client } from './api-client.ts';
import { parseDuration, parsePort } from './argument.ts';
import { CommandError } from './command-error.ts';
import { exitCodes } from './exit-code.ts';
import { findTarget, parseProtocol, parseTargetName } from './find-target.ts';

/** The options of `delegate`, as they were typed. */
export type DelegateOptions = {
  readonly target: readonly string[];
  readonly service: readonly string[];
  readonly until: string;
  readonly purpose: string;
  readonly maxDuration?: string;
  readonly maxConnections?: string;
  readonly maxBytes?: string;
  readonly maxSessions?: string;
};

type Service = DelegationRequest['services'][number];

const usualPorts = new Map([
  ['ssh', 22],
  ['rdp', 3389],
]);

const unitBytes = new Map([
  ['', 1],
  ['KiB', 2 ** 10],
  ['MiB', 2 ** 20],
  ['GiB', 2 ** 30],
]);

/** Returns what to ask the broker for. Targets that are named are looked up among what the caller can reach now. */
export async function prepareDelegation(
  client: Client,
  to: string,
  options: DelegateOptions,
  now: Date,
): Promise<DelegationRequest> {
  const { purpose } = options;
  const services = options.service.map(parseService);
  const expiresAt = parseUntil(options.until, now).toISOString();
  const limits = parseLimits(options);
  const targets: string[] = [];
  for (const text of options.target) {
    const name = parseTargetName(text);
    targets.push(name.kind === 'id' ? name.text : (await findTarget(client, name)).reference);
  }
  return { to, targets, services, expiresAt, limits, purpose };
}

/** Returns the service that a text such as `ssh`, `ssh:2222` or `tcp:5432` names, or fails with a usage error. */
export function parseService(text: string): Service {
  const [name = '', portText] = text.split(':', 2);
  const protocol = parseProtocol(name);
  const port = portText === undefined ? usualPorts.get(protocol) : parsePort(portText);
  if (port === undefined)
    throw new CommandError(exitCodes.usage, `Give the port: tcp:5432, not '${text}'.`);
  return { protocol, port };
}

/** Returns a time that is given as such, or as how long it is until then, or fails with a usage error. */
export function parseUntil(text: string, now: Date): Date {
  const [, days] = /^(\d{1,3})d$/.exec(text) ?? [];
  if (days !== undefined) return new Date(now.getTime() + Number(days) * 86_400_000);
  if (/^(?:\d+[hms])+$/.test(text)) return new Date(now.getTime() + parseDuration(text) * 1000);
  // Without an offset it would be another time on another machine.
  const time = /(?:Z|[+-]\d\d:\d\d)$/.test(text) ? new Date(text) : new Date(Number.NaN);
  if (!Number.isNaN(time.getTime())) return time;
  throw new CommandError(
    exitCodes.usage,
    `Write how long, such as 8h or 2d, or a time such as 2026-03-01T08:00:00Z, not '${text}'.`,
  );
}

/** Returns the bytes of an amount such as `500MiB`, or fails with a usage error. */
export function parseBytes(text: string): number {
  const [, count = '', unit = 'none'] = /^([1-9]\d{0,8})(|[KMG]iB)$/.exec(text) ?? [];
  const bytes = Number(count) * (unitBytes.get(unit) ?? Number.NaN);
  if (0 < bytes) return bytes;
  throw new CommandError(exitCodes.usage, `Write an amount such as 500MiB, not '${text}'.`);
}

function parseLimits(options: DelegateOptions): DelegationRequest['limits'] {
  const { maxDuration, maxConnections, maxBytes, maxSessions } = options;
  return {
    ...(maxDuration === undefined ? {} : { maxDurationSeconds: parseDuration(maxDuration) }),
    ...(maxConnections === undefined ? {} : { maxConnections: parseCount(maxConnections) }),
    ...(maxBytes === undefined ? {} : { maxBytes: parseBytes(maxBytes) }),
    ...(maxSessions === undefined ? {} : { maxSessions: parseCount(maxSessions) }),
  };
}

function parseCount(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new CommandError(exitCodes.usage, `Write a number from 1, not '${text}'.`);
}
