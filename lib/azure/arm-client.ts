import type {
  ComputeManagementClient,
  VirtualMachine,
  VirtualMachinesStartOptionalParams,
} from '@azure/arm-compute';
import type { HttpClient, PipelinePolicy } from '@azure/core-rest-pipeline';
import type { TokenCredential } from '@azure/identity';
import type { ArmId, VmId } from '../arm-id.ts';
import type { Log } from '../broker.ts';
import { findStatus, toThrottled } from './arm-failure.ts';
import type { Nic } from './arm-network.ts';
import { findPrimaryNic, parseNic } from './arm-network.ts';
import type { ArmVm } from './arm-vm.ts';

// As old as they may be: clouds other than the public one learn new versions late. Scale sets know only this one.
const nicVersion = '2024-05-01';
const scaleSetNicVersion = '2018-10-01';

// The SDK gives the signal of a list to its first page only.
const pageMilliseconds = 10_000;

/** How ARM is reached. */
export type ArmOptions = {
  readonly credential: TokenCredential;
  /** ARM of another cloud than the public one. */
  readonly endpoint?: URL;
  /** Sends the requests instead of the network. */
  readonly httpClient?: HttpClient;
  readonly log: Log;
};

/** What can be asked of the power of a VM. */
export type PowerChange = 'start' | 'deallocate';

/**
 * The calls to ARM. For `find…`, what is absent and what the broker may not read are both undefined; every other failure
 * is thrown as it comes, but for `targets-throttled`.
 */
export type ArmClient = {
  readonly findVm: (id: VmId, signal: AbortSignal) => Promise<ArmVm | undefined>;
  readonly findNic: (id: ArmId, signal: AbortSignal) => Promise<Nic | undefined>;
  readonly listVms: (
    subscription: string,
    signal: AbortSignal,
  ) => Promise<readonly VirtualMachine[]>;
  /**
   * Asks for the change, and returns the URL of the operation that ARM has accepted, where it names one. A request that
   * is lost, or fails at ARM, is sent once more: to ask twice does no harm.
   */
  readonly changePower: (
    id: VmId,
    change: PowerChange,
    signal: AbortSignal,
  ) => Promise<string | undefined>;
  /** Returns the body that ARM gives about an operation. */
  readonly readOperation: (id: VmId, url: string, signal: AbortSignal) => Promise<unknown>;
};

type Connection = {
  readonly compute: ComputeManagementClient;
  /** Returns the body at a path and query below the endpoint, or at a URL of ARM. */
  readonly get: (path: string, signal: AbortSignal) => Promise<unknown>;
};

/** Makes the client. The SDK is loaded and connected when the first call needs it. */
export function createArmClient(options: ArmOptions): ArmClient {
  const connections = new Map<string, Promise<Connection>>();
  const connectTo = async (subscription: string): Promise<Connection> => {
    const connection = connections.get(subscription) ?? connect(options, subscription);
    connections.set(subscription, connection);
    return connection;
  };
  const { log } = options;
  return {
    findVm: async (id, signal) => {
      const { compute } = await connectTo(id.subscription);
      return unlessHidden(id, log, readVm(compute, id, signal));
    },
    findNic: async (id, signal) => {
      const connection = await connectTo(id.subscription);
      return unlessHidden(id, log, readNic(connection, id, signal));
    },
    listVms: async (subscription, signal) => {
      const { compute } = await connectTo(subscription);
      const vms: VirtualMachine[] = [];
      for await (const vm of compute.virtualMachines.listAll({ abortSignal: signal })) {
        signal.throwIfAborted();
        vms.push(vm);
      }
      return vms;
    },
    changePower: async (id, change, signal) => {
      const { compute } = await connectTo(id.subscription);
      return submitChange(compute, id, change, signal);
    },
    readOperation: async (id, url, signal) => {
      const { get } = await connectTo(id.subscription);
      return get(url, signal);
    },
  };
}

async function readVm(
  compute: ComputeManagementClient,
  id: VmId,
  abortSignal: AbortSignal,
): Promise<ArmVm> {
  const options = { expand: 'instanceView', abortSignal } as const;
  return id.kind === 'vm'
    ? compute.virtualMachines.get(id.resourceGroup, id.name, options)
    : compute.virtualMachineScaleSetVMs.get(id.resourceGroup, id.scaleSet, id.instance, options);
}

async function submitChange(
  compute: ComputeManagementClient,
  id: VmId,
  change: PowerChange,
  abortSignal: AbortSignal,
): Promise<string | undefined> {
  let operation: string | undefined;
  const options: VirtualMachinesStartOptionalParams = {
    abortSignal,
    onResponse: ({ headers }) => {
      operation = headers.get('azure-asyncoperation');
    },
  };
  const poller =
    id.kind === 'vm'
      ? compute.virtualMachines[change](id.resourceGroup, id.name, options)
      : compute.virtualMachineScaleSetVMs[change](
          id.resourceGroup,
          id.scaleSet,
          id.instance,
          options,
        );
  // The poller has sent its one request then. To await the poller itself would poll to the end.
  await poller.submitted();
  return operation;
}

/** The id of a scale-set instance stands for its primary network interface. */
async function readNic({ get }: Connection, id: ArmId, signal: AbortSignal) {
  if (id.kind === 'nic')
    return parseNic(await get(`${id.canonical}?api-version=${nicVersion}`, signal));
  const path = `${id.canonical}/networkInterfaces?api-version=${scaleSetNicVersion}`;
  return findPrimaryNic(await get(path, signal));
}

// To the caller both are "not found". The operator learns here that a right is missing.
async function unlessHidden<T>(id: ArmId, log: Log, work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    const status = findStatus(error);
    if (status === 403) log('arm-forbidden', { armId: id.canonical });
    if (status === 403 || status === 404) return undefined;
    throw error;
  }
}

async function connect(options: ArmOptions, subscription: string): Promise<Connection> {
  // Loaded late: the two cost a quarter of a second that a cold start without ARM need not pay.
  const [
    { ComputeManagementClient },
    { createDefaultHttpClient, createPipelineRequest, RestError },
  ] = await Promise.all([import('@azure/arm-compute'), import('@azure/core-rest-pipeline')]);
  const { credential, endpoint = new URL('https://management.azure.com') } = options;
  const httpClient = options.httpClient ?? createDefaultHttpClient();
  const compute = new ComputeManagementClient(credential, subscription, {
    endpoint: endpoint.origin,
    credentials: { scopes: [`${endpoint.origin}/.default`] },
    httpClient,
    retryOptions: { maxRetries: 1, retryDelayInMs: 200, maxRetryDelayInMs: 200 },
    redirectOptions: { maxRetries: 0 },
    additionalPolicies: [
      { policy: keepToArm(endpoint), position: 'perCall' },
      { policy: refuseThrottled, position: 'perRetry' },
    ],
  });
  const get: Connection['get'] = async (path, abortSignal) => {
    const request = createPipelineRequest({ url: new URL(path, endpoint).href, abortSignal });
    const response = await compute.pipeline.sendRequest(httpClient, request);
    if (response.status !== 200)
      throw new RestError('ARM refused', { statusCode: response.status });
    const body: unknown = JSON.parse(response.bodyAsText ?? '');
    return body;
  };
  return { compute, get };
}

/** The token of the broker goes to ARM and its regions, wherever a `nextLink` may point; and nothing waits for ever. */
function keepToArm(endpoint: URL): PipelinePolicy {
  return {
    name: 'sallyport-keep-to-arm',
    sendRequest: async (request, next) => {
      const { host } = new URL(request.url);
      if (host !== endpoint.host && !host.endsWith(`.${endpoint.host}`))
        throw new Error('a link of ARM leads elsewhere');
      request.abortSignal ??= AbortSignal.timeout(pageMilliseconds);
      return next(request);
    },
  };
}

// The SDK waits as long as Retry-After says, an hour if need be. The caller can wait better than we can; an error
// that is not the SDK's own is not retried.
const refuseThrottled: PipelinePolicy = {
  name: 'sallyport-refuse-throttled',
  sendRequest: async (request, next) => {
    const response = await next(request);
    const retryAfter = response.headers.get('retry-after');
    if (response.status === 429 || (response.status === 503 && retryAfter !== undefined))
      throw toThrottled(retryAfter);
    return response;
  },
};
