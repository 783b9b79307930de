import { Duplex } from 'node:stream';
import { WebSocket } from 'ws';

/** Returns a WebSocket that connects nowhere: the test says by its events what the gateway does. */
export function createLooseSocket(): WebSocket {
  return new LooseSocket();
}

class LooseSocket extends WebSocket {
  constructor() {
    const createConnection = (): Duplex =>
      new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
    super('ws://gateway.invalid', { createConnection });
  }

  override close(): void {
    this.emit('asked', 'close');
  }

  override terminate(): void {
    this.emit('asked', 'terminate');
  }

  override ping(): void {
    this.emit('asked', 'ping');
  }
}
