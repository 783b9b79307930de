import { createServer, type AddressInfo } from 'node:net';

const host = '127.0.0.1';

/**
 * Returns the wanted loopback port when nobody listens on it, or any free one when none is wanted.
 * Fails with a sentence for the user. The port is free at the time of the answer, not reserved.
 */
export async function choosePort(wanted?: number): Promise<number> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(wanted ?? 0, host, resolve);
    });
    return portOf(server.address());
  } catch (cause) {
    throw new Error(describeFailure(wanted, cause), { cause });
  } finally {
    server.close();
  }
}

/** Returns the port of a listening server's address. */
export function portOf(address: string | AddressInfo | null): number {
  if (address === null || typeof address === 'string')
    throw new Error('the server has no TCP port');
  return address.port;
}

function describeFailure(wanted: number | undefined, cause: unknown): string {
  if (wanted === undefined) return 'This machine has no free port on 127.0.0.1.';
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code === 'EADDRINUSE') {
    return `Port ${wanted} is in use: stop the program that listens on it, or choose another port.`;
  }
  if (code === 'EACCES') {
    return `Port ${wanted} is reserved for the system's administrator: choose one above 1023.`;
  }
  return `Port ${wanted} cannot be used: ${String(cause)}.`;
}
