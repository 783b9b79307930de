import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import * as z from 'zod';

const collectShape = z.custom<() => void>((value) => typeof value === 'function');

/** Passes items through, and tells by how many bytes what is in use has grown from one share of so many items to the end. */
export function watchHeap<T>(items: AsyncIterable<T>, count: number, share: number) {
  setFlagsFromString('--expose-gc');
  const collect = collectShape.parse(runInNewContext('gc'));
  const measure = (): number => {
    collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  let before = 0;
  let after = 0;
  async function* watch(): AsyncGenerator<T, void> {
    let number = 0;
    for await (const item of items) {
      number += 1;
      if (number === Math.floor(count * share)) before = measure();
      if (number === count - 1) after = measure();
      yield item;
    }
  }
  return { items: watch(), findGrowth: () => after - before };
}
