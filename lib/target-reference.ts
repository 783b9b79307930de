import { parseVmId } from './arm-id.ts';
import { BrokerError } from './failure.ts';
import type { TargetReference } from './target.ts';

const guid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * Returns what a caller's text names: a target id, or the ARM resource id of a VM or of a scale-set instance, both in
 * canonical form. Fails with `request-invalid` and a fault at `/target` for anything else.
 */
export function parseTargetReference(text: string): TargetReference {
  if (guid.test(text)) return { kind: 'id', id: text.toLowerCase() };
  const vm = parseVmId(text);
  if (vm !== undefined) return { kind: 'arm', armId: vm.canonical };
  const detail =
    'Give the id of the target (a GUID) or the ARM resource id of the VM, exactly as Azure shows it.';
  throw new BrokerError('request-invalid', 'The target is not named in a known way.', {
    faults: [{ pointer: '/target', detail }],
  });
}
