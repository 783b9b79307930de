import { createServer, type ServerResponse } from 'node:http';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { portOf } from './free-port.ts';
import { loadApp, type Registration, type Report } from './functions-core.ts';
import { exchange } from './http-exchange.ts';
import { parseRoute } from './route.ts';
import { startTimers } from './timers.ts';

/** A running app. `close` answers what is under way, then stops. */
export interface FunctionsHost {
  readonly url: string;
  readonly functions: readonly Registration[];
  /** Runs one timer now and resolves when it is done; rejects when its handler does. */
  readonly runTimer: (name: string) => Promise<void>;
  readonly close: () => Promise<void>;
}

const closeMilliseconds = 10_000;

/**
 * Runs the built functions as Azure runs them: same compiled code, same conversion of requests and
 * answers by the library's own invocation model, same empty 404 for an unknown route or a wrong
 * method. Gives `log` one JSON object per event. Fails when the scripts register no function.
 */
export async function startFunctionsHost(options: {
  /** A folder of built scripts, or the scripts themselves. */
  readonly scripts: string | readonly string[];
  /** Only loopback: the host has no protection of its own. */
  readonly host: '127.0.0.1' | '::1';
  readonly port: number;
  readonly log: (line: string) => void;
}): Promise<FunctionsHost> {
  const { host, port, scripts } = options;
  const report: Report = (event, facts) => {
    options.log(JSON.stringify({ time: new Date(), event, ...facts }));
  };
  const files = typeof scripts === 'string' ? listScripts(scripts) : scripts;
  const app = await loadApp(files, (level, message) => report('log', { level, message }));
  const endpoints = app.functions
    .filter((loaded) => loaded.type === 'http')
    .map((loaded) => ({ loaded, route: parseRoute(loaded.route) }));

  const open = new Set<ServerResponse>();
  const server = createServer((request, response) => {
    open.add(response);
    response.once('close', () => open.delete(response));
    void exchange(endpoints, request, response, report);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, host, resolve);
  });
  const timers = startTimers(app.functions, report);
  return {
    url: `http://${host === '::1' ? '[::1]' : host}:${portOf(server.address())}`,
    functions: app.functions,
    runTimer: (name) => timers.run(name),
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      // Otherwise the close would wait for connections that are kept alive.
      for (const response of open) response.shouldKeepAlive = false;
      setTimeout(() => server.closeAllConnections(), closeMilliseconds).unref();
      await Promise.all([closed, timers.stop()]);
      await app.terminate();
    },
  };
}

/** Lists the built entry scripts of a folder, as the `main` glob of the deployed package does. */
export function listScripts(folder: string): readonly string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.js'))
    .map((name) => join(folder, name));
}
