/** A moment on the clocks of one time zone: `weekday` 1 is Monday, `minuteOfDay` 0 is midnight. */
type Moment = { readonly weekday: number; readonly minuteOfDay: number };

/** Returns the moment that a time is in one time zone. Throws on an invalid date. */
export type ZoneClock = (time: Date) => Moment;

const weekdays = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];

/** Returns the clock of a time zone of the IANA database, or undefined when there is no such zone. */
export function findZoneClock(zone: string): ZoneClock | undefined {
  const format = findFormat(zone);
  if (format === undefined) return undefined;
  return (time) => {
    const parts = new Map(format.formatToParts(time).map(({ type, value }) => [type, value]));
    const hour = Number(parts.get('hour'));
    const minute = Number(parts.get('minute'));
    const weekday = weekdays.indexOf(parts.get('weekday') ?? '') + 1;
    return { weekday, minuteOfDay: hour * 60 + minute };
  };
}

function findFormat(timeZone: string): Intl.DateTimeFormat | undefined {
  try {
    return new Intl.DateTimeFormat('en-US', {
      timeZone,
      weekday: 'short',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    });
  } catch {
    return undefined;
  }
}
