import type { AuditEvent } from '../../lib/audit.ts';
import type { Broker } from '../../lib/broker.ts';
import { deallocateQuiet } from '../../lib/quiet-targets.ts';
import { noteStart } from '../../lib/started-target.ts';
import type { PowerState, Target } from '../../lib/target.ts';
import { sessionId } from './sessions.ts';
import { memoryAudit, testBroker, testClock, testTargets, vm } from './test-broker.ts';

export const armId =
  '/subscriptions/11111111-1111-4111-8111-111111111111/resourcegroups/rg/providers/microsoft.compute/virtualmachines/vm-1';

/** The VM of the test broker, as if Azure had it in this state. */
export function armVm(power: PowerState, changes: Partial<Target> = {}): Target {
  return { ...vm, source: 'arm', armId, power, ...changes };
}

/** A broker that starts its VM and deallocates it after half an hour, and all that can be changed about it. */
export type PowerBench = {
  readonly broker: Broker;
  readonly clock: ReturnType<typeof testClock>;
  readonly entries: readonly AuditEvent[];
  /** What was asked of the VM, and how many audit entries there were by then. */
  readonly calls: readonly string[];
  readonly vmIs: (target: Target) => void;
  /** Makes every call about the VM's power fail, or none. */
  readonly failWith: (failure: Error | undefined) => void;
  /** Starts the VM for a session, which does not exist. */
  readonly start: () => Promise<void>;
  /** Lets this many minutes go by, with a run at the end of each, and returns how many were deallocated. */
  readonly pass: (minutes: number) => Promise<number>;
};

export function powerBench(changes: Partial<Broker> = {}): PowerBench {
  const clock = testClock();
  const audit = memoryAudit();
  const calls: string[] = [];
  let now = armVm('running');
  let failure: Error | undefined;
  const call = (name: string): void => {
    calls.push(`${name} after ${String(audit.entries.length)} entries`);
    if (failure !== undefined) throw failure;
  };
  const power = {
    start: async () => {
      call('start');
      return 'operation-1';
    },
    checkStart: async (_target: Target, operation: string) => call(`check ${operation}`),
    deallocate: async () => call('deallocate'),
  };
  const plain = testBroker({ now: clock.now, audit, power, ...changes });
  const targets = { ...testTargets(), find: async () => now };
  const limits = { ...plain.limits, deallocateAfterMinutes: 30 };
  const broker = { ...plain, targets, limits, ...changes };
  return {
    broker,
    clock,
    entries: audit.entries,
    calls,
    vmIs: (target) => {
      now = target;
    },
    failWith: (error) => {
      failure = error;
    },
    start: async () => {
      await noteStart(broker, armVm('deallocated'), sessionId);
    },
    pass: async (minutes) => {
      let deallocated = 0;
      for (let minute = 0; minute < minutes; minute += 1) {
        clock.pass(60);
        deallocated += await deallocateQuiet(broker);
      }
      return deallocated;
    },
  };
}
