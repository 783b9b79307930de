// Loaded first into every child of the local stack: ends it when the process that started it is gone, be it by kill -9.
// Nothing is ever written to this input; it ends when its other end is closed.
const leave = (): void => {
  process.exit(1);
};
process.stdin.once('error', leave).once('end', leave).resume().unref();
