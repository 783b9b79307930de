import { formatBytes, formatTime } from './format.ts';

/** What happens to a tunnel, as `--json` prints it, one event to a line. */
export type TunnelEvent =
  | {
      readonly event: 'listening';
      readonly address: string;
      readonly port: number;
      readonly session: string;
      readonly target: string;
      readonly service: string;
      readonly deadline: string;
    }
  | { readonly event: 'opened'; readonly connection: number }
  | {
      readonly event: 'closed';
      readonly connection: number;
      readonly bytesUp: number;
      readonly bytesDown: number;
      /** Why, when it was not a proper end. */
      readonly error?: string;
    }
  | { readonly event: 'refused'; readonly connection: number; readonly error: string }
  | { readonly event: 'ended'; readonly session: string };

/** Returns the event as a line for people. */
export function describeTunnelEvent(event: TunnelEvent): string {
  switch (event.event) {
    case 'listening': {
      const { address, port, target, service, deadline } = event;
      const until = formatTime(new Date(deadline));
      return `Listening on ${address}:${port} for ${service} of ${target} until ${until}. Ctrl-C ends it.`;
    }
    case 'opened':
      return `#${event.connection} opened`;
    case 'closed': {
      const bytes = `${formatBytes(event.bytesUp)} up, ${formatBytes(event.bytesDown)} down`;
      const why = event.error === undefined ? '' : `: ${event.error}`;
      return `#${event.connection} closed, ${bytes}${why}`;
    }
    case 'refused':
      return `#${event.connection} refused: ${event.error}`;
    case 'ended':
      break;
  }
  return 'The tunnel is closed.';
}
