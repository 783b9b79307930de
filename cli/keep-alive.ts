import type { WebSocket } from 'ws';

// Below the idle limit of the load balancers and NATs on the way, the shortest of which is a minute.
const pingMilliseconds = 30_000;

/**
 * Pings the gateway, and cuts a connection on which nothing at all came back for a whole interval: a laptop that slept
 * or changed networks would wait for hours otherwise. Stops by itself when the WebSocket closes.
 */
export function keepAlive(socket: WebSocket, intervalMilliseconds = pingMilliseconds): void {
  let isAlive = true;
  const noteLife = (): void => {
    isAlive = true;
  };
  socket.on('pong', noteLife).on('ping', noteLife).on('message', noteLife);
  const timer = setInterval(() => {
    // A reader that is slow holds back the pongs as well, so its silence proves nothing.
    if (!isAlive && !socket.isPaused) return socket.terminate();
    isAlive = false;
    socket.ping();
  }, intervalMilliseconds);
  timer.unref();
  socket.once('close', () => clearInterval(timer));
}
