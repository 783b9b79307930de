import { readFile } from 'node:fs/promises';
import { endianness } from 'node:os';

/** One end of a TCP connection: an IPv4 address and a port. */
export type TcpEnd = { readonly address: string; readonly port: number };

/** A TCP connection within this machine, as the side that accepted it sees it. */
export type LoopbackEnds = { readonly local: TcpEnd; readonly remote: TcpEnd };

// Linux lists the sockets of IPv4 and of IPv6 apart; a client of either may reach 127.0.0.1.
const tables = ['/proc/net/tcp', '/proc/net/tcp6'];

/**
 * Whether the other end of a loopback connection is a process of this user. Any user of the machine can reach a port on
 * 127.0.0.1, and would use the session of whoever opened the tunnel. Where the system cannot tell (only Linux can),
 * it is always true.
 */
export async function isOwnPeer(ends: LoopbackEnds): Promise<boolean> {
  const [user, table] = [process.getuid?.(), await readTables()];
  return user === undefined || table === undefined || findSocketOwner(table, ends) === user;
}

async function readTables(): Promise<string | undefined> {
  const read = async (path: string): Promise<string | undefined> =>
    readFile(path, 'utf8').catch(() => undefined);
  const texts = (await Promise.all(tables.map(read))).filter((text) => text !== undefined);
  return texts.length === 0 ? undefined : texts.join('\n');
}

/** Returns the user id of the socket at the other end, from the text of `/proc/net/tcp`; undefined when it is not there. */
export function findSocketOwner(
  table: string,
  { local, remote }: LoopbackEnds,
): number | undefined {
  // What is remote to us is local to the peer. Ports alone are not enough: another user may hold the same two on another
  // address of the loopback network.
  const [near, far] = [toSpellings(remote), toSpellings(local)];
  for (const line of table.split('\n')) {
    const [, from = '', to = '', , , , , owner = ''] = line.trim().split(/\s+/);
    if (near.includes(from) && far.includes(to)) return Number(owner);
  }
  return undefined;
}

// The kernel prints each word of an address as a number in the order of the machine's bytes. The second form is that of
// an IPv4 address which an IPv6 socket uses (RFC 4291, section 2.5.5.2).
function toSpellings({ address, port }: TcpEnd): readonly string[] {
  const bytes = address
    .replace(/^::ffff:/i, '')
    .split('.')
    .map(Number);
  const word = toHex(endianness() === 'LE' ? bytes.toReversed() : bytes);
  const mark = endianness() === 'LE' ? 'FFFF0000' : '0000FFFF';
  const end = toHex([port >> 8, port & 0xff]);
  return [`${word}:${end}`, `${'0'.repeat(16)}${mark}${word}:${end}`];
}

function toHex(bytes: readonly number[]): string {
  return Buffer.from(bytes).toString('hex').toUpperCase();
}
