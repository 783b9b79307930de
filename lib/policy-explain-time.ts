import type { DecisionInput } from './decision.ts';
import type { PolicyWords } from './policy-explain-words.ts';

/** Whether an input is allowed; undefined when nothing more may be asked. */
export type Ask = (input: DecisionInput) => boolean | undefined;

const minuteSeconds = 60;
const stepSeconds = 15 * minuteSeconds;
const horizonSeconds = 7 * 86_400;

/**
 * Returns the minute within the next seven days, in seconds since the epoch, in which the outcome turns with all else as
 * it is. Asks only where a clock has passed a number that policies name; a window of less than 15 minutes may be missed.
 */
export function findTurn(ask: Ask, input: DecisionInput, words: PolicyWords): number | undefined {
  const { now } = input.context;
  const isAllowed = ask(input);
  const first = Math.floor(now / stepSeconds + 1) * stepSeconds;
  let before = now;
  let known = toMark(now, words);
  for (let at = first; at <= now + horizonSeconds; at += stepSeconds) {
    const mark = toMark(at, words);
    const answer = mark === known ? isAllowed : ask(moveTo(input, at));
    if (answer === undefined) return undefined;
    if (answer !== isAllowed) return refine(ask, input, { before, at, isAllowed });
    known = mark;
    before = at;
  }
  return undefined;
}

function moveTo(input: DecisionInput, now: number): DecisionInput {
  return { ...input, context: { ...input.context, now } };
}

/** Returns a text that is another one whenever policies may see another time. */
function toMark(at: number, { clocks, minutes, instants, isComputed }: PolicyWords): string {
  const time = new Date(at * 1000);
  const moments = clocks.map((read) => {
    const { weekday, minuteOfDay } = read(time);
    const passed = minutes.filter((minute) => minute < minuteOfDay).length;
    return [weekday, minutes.includes(minuteOfDay), passed];
  });
  const hour = isComputed && clocks.length + instants.length > 0 ? Math.floor(at / 3600) : 0;
  return JSON.stringify([moments, instants.filter((instant) => instant <= at).length, hour]);
}

type Span = {
  readonly before: number;
  readonly at: number;
  readonly isAllowed: boolean | undefined;
};

function refine(ask: Ask, input: DecisionInput, { before, at, isAllowed }: Span): number {
  let [low, high] = [before, at];
  while (high - low > minuteSeconds) {
    const middle = Math.ceil((low + high) / 2 / minuteSeconds) * minuteSeconds;
    if (middle >= high) break;
    const answer = ask(moveTo(input, middle));
    if (answer === undefined) break;
    if (answer === isAllowed) low = middle;
    else high = middle;
  }
  return high;
}
