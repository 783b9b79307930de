import { readFile } from 'node:fs/promises';

/** The two ports of a TCP connection within this machine, as the side that accepted it sees them. */
export type LoopbackPorts = { readonly localPort: number; readonly remotePort: number };

// Linux lists the sockets of IPv4 and of IPv6 apart; a client of either may reach 127.0.0.1.
const tables = ['/proc/net/tcp', '/proc/net/tcp6'];

/**
 * Whether the other end of a loopback connection is a process of this user. Any user of the machine can reach a port on
 * 127.0.0.1, and would use the session of whoever opened the tunnel. Where the system cannot tell (only Linux can),
 * it is always true.
 */
export async function isOwnPeer(ports: LoopbackPorts): Promise<boolean> {
  const [user, table] = [process.getuid?.(), await readTables()];
  return user === undefined || table === undefined || findSocketOwner(table, ports) === user;
}

async function readTables(): Promise<string | undefined> {
  const read = async (path: string): Promise<string | undefined> =>
    readFile(path, 'utf8').catch(() => undefined);
  const texts = (await Promise.all(tables.map(read))).filter((text) => text !== undefined);
  return texts.length === 0 ? undefined : texts.join('\n');
}

/** Returns the user id of the socket at the other end, from the text of `/proc/net/tcp`; undefined when it is not there. */
export function findSocketOwner(table: string, ports: LoopbackPorts): number | undefined {
  for (const line of table.split('\n')) {
    const [, local = '', remote = '', , , , , owner = ''] = line.trim().split(/\s+/);
    // What is remote to us is local to the peer.
    if (readPort(local) === ports.remotePort && readPort(remote) === ports.localPort)
      return Number(owner);
  }
  return undefined;
}

function readPort(address: string): number {
  return Number.parseInt(address.split(':')[1] ?? '', 16);
}
