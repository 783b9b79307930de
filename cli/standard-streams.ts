import { closeSync, createWriteStream, fstatSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { devNull } from 'node:os';
import type { Writable } from 'node:stream';
import type { LocalEnds } from './web-socket-stream.ts';

const outputDescriptor = 1;

/**
 * Returns standard input and output as streams that can be ended. Node never closes `process.stdout`, so that the
 * program which reads it would not see the end of a direction before we exit.
 */
export function openStandardStreams(): LocalEnds {
  const output = openOutput();
  const cut = (): void => {
    process.stdin.destroy();
    output.destroy();
  };
  return { input: process.stdin, output, cut };
}

function openOutput(): Writable {
  const stat = fstatSync(outputDescriptor);
  // A file or a terminal is shared with other programs, and its end tells nobody anything.
  if (!stat.isFIFO() && !stat.isSocket())
    return createWriteStream('', { fd: outputDescriptor, autoClose: false });
  const output = new Socket({ fd: outputDescriptor, readable: false, writable: true });
  return stat.isFIFO() ? output.once('close', releaseOutput) : output;
}

// A socket is shut down, but a pipe has to be closed, and libuv spares the standard descriptors. The lowest free one is
// taken at once, lest a connection got it that something prints to.
function releaseOutput(): void {
  closeSync(outputDescriptor);
  openSync(devNull, 'w');
}
