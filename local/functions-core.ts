import Module from 'node:module';
import { randomUUID } from 'node:crypto';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';

/** What a function has registered, in the host's words. */
export interface Registration {
  readonly name: string;
  readonly type: 'http' | 'timer';
  /** Without a leading slash; empty for timers. */
  readonly route: string;
  /** Upper case; empty for timers. */
  readonly methods: readonly string[];
  /** NCRONTAB with six fields; empty for HTTP. */
  readonly schedule: string;
}

/** A function that the library has registered and can run. */
export interface LoadedFunction extends Registration {
  /** Runs the function once on the trigger's data in wire form, and returns its answer in the same form. */
  readonly invoke: (input: TriggerInput, log: InvocationLog) => Promise<unknown>;
}

/** The functions of one app, sorted by name as the real host sorts them. */
export interface LoadedApp {
  readonly functions: readonly LoadedFunction[];
  /** Runs what the app registered for its end, for example to close an audit chain. */
  readonly terminate: () => Promise<void>;
}

/** The trigger's data as the host sends it to the worker (`RpcTypedData`). */
export type TriggerInput = { readonly http: object } | { readonly json: string };

/** Receives what the function or the library says while it runs. */
export type InvocationLog = (level: string, message: string) => void;

/** Receives one event of the host with the facts to log about it. */
export type Report = (event: string, facts: Readonly<Record<string, unknown>>) => void;

type Handler = (...args: unknown[]) => unknown;
type Hook = (context: object) => unknown;

/** The part of the library's programming model that a worker calls. */
interface ProgrammingModel {
  getInvocationModel(context: object): InvocationModel;
  getCapabilities(capabilities: Record<string, string>): Promise<Record<string, string>>;
}

interface InvocationModel {
  getArguments(): Promise<{ readonly context: unknown; readonly inputs: unknown[] }>;
  invokeFunction(context: unknown, inputs: unknown[], handler: Handler): Promise<unknown>;
  getResponse(context: unknown, result: unknown): Promise<{ readonly returnValue?: unknown }>;
}

interface App {
  readonly log: InvocationLog;
  readonly functions: { readonly metadata: unknown; readonly handler: Handler }[];
  readonly hooks: { readonly name: string; readonly run: Hook }[];
  model: ProgrammingModel | undefined;
}

const coreName = '@azure/functions-core';
const knownHooks = ['appStart', 'appTerminate'];

const metadataSchema = z.object({
  name: z.string(),
  bindings: z.record(
    z.string(),
    z.object({
      type: z.string(),
      route: z.string().optional(),
      methods: z.array(z.string()).optional(),
      schedule: z.string().optional(),
    }),
  ),
});

/**
 * Imports the built scripts as the Azure worker does and returns what they registered. The library
 * and the scripts are loaded once per process, so the same scripts register nothing a second time.
 */
export async function loadApp(scripts: readonly string[], log: InvocationLog): Promise<LoadedApp> {
  const app: App = { log, functions: [], hooks: [], model: undefined };
  const giveBack = supplyCore(createCore(app));
  try {
    for (const script of [...scripts].sort()) await import(pathToFileURL(script).href);
  } finally {
    giveBack();
  }
  const { model } = app;
  if (!model || app.functions.length === 0) {
    throw new Error(`No function is registered by ${scripts.join(', ') || 'an empty folder'}.`);
  }
  const capabilities = await model.getCapabilities({});
  // A throwing handler would hang its caller, and route parameters are polluted by headers.
  if ('HttpUri' in capabilities) throw new Error('HTTP streaming must stay off in this app.');
  await runHooks(app, 'appStart');
  const functions = app.functions.map(({ metadata, handler }) =>
    toLoaded(model, metadata, handler),
  );
  return {
    functions: functions.sort((a, b) => (a.name < b.name ? -1 : 1)),
    terminate: () => runHooks(app, 'appTerminate'),
  };
}

// `@azure/functions-core` exists only inside the Azure worker, which supplies it the same way. The
// library asks for it on its first registration and keeps the answer.
function supplyCore(core: object): () => void {
  const { prototype } = Module;
  const original = Object.getOwnPropertyDescriptor(prototype, 'require') ?? {};
  const load: unknown = original.value;
  if (typeof load !== 'function') throw new Error('this Node has no Module.prototype.require');
  const value = function require(this: unknown, id: string): unknown {
    return id === coreName ? core : Reflect.apply(load, this, [id]);
  };
  Object.defineProperty(prototype, 'require', { ...original, value });
  return () => {
    Object.defineProperty(prototype, 'require', original);
  };
}

function createCore(app: App): object {
  return {
    version: '1.0.0',
    hostVersion: '4.0.0',
    workerVersion: '3.0.0',
    setProgrammingModel(model: ProgrammingModel) {
      app.model = model;
    },
    getProgrammingModel: () => app.model,
    registerFunction(metadata: unknown, handler: Handler) {
      app.functions.push({ metadata, handler });
      return { dispose: () => undefined };
    },
    registerHook(name: string, run: Hook) {
      if (!knownHooks.includes(name)) throw new Error(`The local host has no "${name}" hook.`);
      app.hooks.push({ name, run });
      return { dispose: () => undefined };
    },
    log(level: string, _category: string, message: string) {
      app.log(level, message);
    },
  };
}

async function runHooks(app: App, name: string): Promise<void> {
  for (const hook of app.hooks) if (hook.name === name) await hook.run({ hookData: {} });
}

function toLoaded(model: ProgrammingModel, raw: unknown, handler: Handler): LoadedFunction {
  const metadata = metadataSchema.parse(raw);
  const { registration, bindingName } = toRegistration(metadata);
  return {
    ...registration,
    invoke: async (input, log) => {
      const invocation = {
        invocationId: randomUUID(),
        metadata: raw,
        state: undefined,
        request: { inputData: [{ name: bindingName, data: input }], triggerMetadata: {} },
        log: (level: string, _category: string, message: string) => log(level, message),
      };
      const invocationModel = model.getInvocationModel(invocation);
      const { context, inputs } = await invocationModel.getArguments();
      const result = await invocationModel.invokeFunction(context, inputs, handler);
      const { returnValue } = await invocationModel.getResponse(context, result);
      return returnValue;
    },
  };
}

function toRegistration(metadata: z.infer<typeof metadataSchema>): {
  readonly registration: Registration;
  readonly bindingName: string;
} {
  const { name, bindings } = metadata;
  for (const [bindingName, binding] of Object.entries(bindings)) {
    const route = (binding.route ?? name).replace(/^\//, '');
    const methods = (binding.methods ?? []).map((method) => method.toUpperCase());
    const schedule = binding.schedule ?? '';
    if (binding.type === 'httpTrigger') {
      return { bindingName, registration: { name, type: 'http', route, methods, schedule: '' } };
    }
    if (binding.type === 'timerTrigger') {
      return {
        bindingName,
        registration: { name, type: 'timer', route: '', methods: [], schedule },
      };
    }
  }
  throw new Error(`Function "${name}" has a trigger that the local host does not know.`);
}
