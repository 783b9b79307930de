import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { toClientIp } from './request.ts';

/**
 * Counts the sockets of each address that carry no connection yet: those that shake hands, are silent or wait for an
 * answer. One address must not take the room of all.
 */
export class AddressLimit {
  readonly #max: number;
  readonly #waiting = new Map<string, number>();

  constructor(max: number) {
    this.#max = max;
  }

  /** Counts a new socket until it closes. Returns whether its address had room for it; if not, it is not counted. */
  enter(socket: Socket): boolean {
    const address = toClientIp(socket.remoteAddress) ?? '';
    if ((this.#waiting.get(address) ?? 0) >= this.#max) return false;
    this.#count(address, 1);
    socket.once('close', () => this.#count(address, -1));
    return true;
  }

  /** Leaves a socket of this address out of the count, because its ticket was good. */
  leave(address: string | undefined, socket: Duplex): void {
    if (socket.closed) return;
    this.#count(address ?? '', -1);
    // `enter` takes it away once more.
    socket.once('close', () => this.#count(address ?? '', 1));
  }

  #count(address: string, change: 1 | -1): void {
    const count = (this.#waiting.get(address) ?? 0) + change;
    if (count === 0) this.#waiting.delete(address);
    else this.#waiting.set(address, count);
  }
}
