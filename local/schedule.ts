/** The moments at which a timer runs: the allowed values of each field of an NCRONTAB expression. */
export interface Schedule {
  readonly seconds: ReadonlySet<number>;
  readonly minutes: ReadonlySet<number>;
  readonly hours: ReadonlySet<number>;
  readonly days: ReadonlySet<number>;
  readonly months: ReadonlySet<number>;
  readonly weekdays: ReadonlySet<number>;
}

const dayMilliseconds = 86_400_000;
// February 29th on one weekday comes back after 28 years, or 40 across a century without a leap day.
const horizonDays = 41 * 366;

/**
 * Reads `second minute hour day month weekday`, each a `*`, a number, a range `a-b`, a step `x/n`
 * or a list of these. Names of months and weekdays are not known here and are refused.
 */
export function parseSchedule(expression: string): Schedule {
  const fields = expression.trim().split(/\s+/);
  const [second = '', minute = '', hour = '', day = '', month = '', weekday = ''] = fields;
  if (fields.length !== 6) {
    throw new Error(`The schedule "${expression}" has ${fields.length} fields instead of six.`);
  }
  return {
    seconds: parseField(second, 0, 59),
    minutes: parseField(minute, 0, 59),
    hours: parseField(hour, 0, 23),
    days: parseField(day, 1, 31),
    months: parseField(month, 1, 12),
    weekdays: parseField(weekday, 0, 6),
  };
}

/** Returns the first moment after `after`, in UTC as in Azure. Fails when there is none, as for February 30th. */
export function findNextRun(schedule: Schedule, after: Date): Date {
  const start = new Date(after.getTime() + 1000 - (after.getTime() % 1000));
  for (let days = 0; days <= horizonDays; days += 1) {
    const midnight = new Date(startOfDay(start) + days * dayMilliseconds);
    if (!isRunDay(schedule, midnight)) continue;
    const time = findTime(schedule, days === 0 ? start : midnight);
    if (time !== undefined) return new Date(midnight.getTime() + time * 1000);
  }
  throw new Error('The schedule never comes.');
}

function parseField(field: string, lowest: number, highest: number): ReadonlySet<number> {
  const parts = field.split(',').flatMap((part) => parsePart(part, lowest, highest));
  return new Set(parts);
}

function parsePart(part: string, lowest: number, highest: number): readonly number[] {
  const [span = '', step = '1'] = part.split('/');
  const [first = lowest, to] = span === '*' ? [lowest, highest] : span.split('-').map(Number);
  // A number alone means itself; a number with a step means "from here on".
  const last = to ?? (span === part ? first : highest);
  const isReadable = /^(\*|\d{1,2}(-\d{1,2})?)(\/[1-9]\d?)?$/.test(part);
  if (isReadable && lowest <= first && last <= highest) return listSteps(first, last, Number(step));
  throw new Error(`The local host cannot read "${part}" in a schedule.`);
}

function listSteps(first: number, last: number, step: number): readonly number[] {
  const values: number[] = [];
  for (let value = first; value <= last; value += step) values.push(value);
  return values;
}

function startOfDay(time: Date): number {
  return time.getTime() - (time.getTime() % dayMilliseconds);
}

function isRunDay(schedule: Schedule, day: Date): boolean {
  return (
    schedule.months.has(day.getUTCMonth() + 1) &&
    schedule.days.has(day.getUTCDate()) &&
    schedule.weekdays.has(day.getUTCDay())
  );
}

/** Returns the second of the day of the first run at or after `from` on the same day. */
function findTime(schedule: Schedule, from: Date): number | undefined {
  const first = (from.getTime() % dayMilliseconds) / 1000;
  for (let time = first; time < 86_400; time += 1) {
    const hour = Math.floor(time / 3600);
    const minute = Math.floor(time / 60) % 60;
    if (
      schedule.hours.has(hour) &&
      schedule.minutes.has(minute) &&
      schedule.seconds.has(time % 60)
    ) {
      return time;
    }
  }
  return undefined;
}
