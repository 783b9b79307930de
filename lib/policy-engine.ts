import { createRequire } from 'node:module';
import type * as CedarModule from '@cedar-policy/cedar-wasm/nodejs';
import { policySchema } from './policy-schema.ts';

/** The calls of Cedar that are used here. */
export type Cedar = Pick<
  typeof CedarModule,
  | 'policySetTextToParts'
  | 'policyToJson'
  | 'preparsePolicySet'
  | 'preparseSchema'
  | 'statefulIsAuthorized'
  | 'validate'
>;

/** One question to Cedar, without the set that answers it. */
export type CedarRequest = Pick<
  CedarModule.StatefulAuthorizationCall,
  'principal' | 'action' | 'resource' | 'context' | 'entities'
>;

/** The text of each policy under its id. Its identity, not its content, says whether an instance holds it. */
export type PolicyTexts = Readonly<Record<string, string>>;

/** Cedar in WebAssembly, loaded on first use. */
export type PolicyEngine = {
  /** Runs a call on the live instance. What Cedar throws is thrown on, and the next call gets a fresh instance. */
  readonly call: <T>(run: (cedar: Cedar) => T) => T;
  /** Puts the question to a set. Throws when Cedar breaks off or does not take the set. */
  readonly authorize: (
    policies: PolicyTexts,
    request: CedarRequest,
  ) => CedarModule.AuthorizationAnswer;
};

type Slot = { readonly id: string; readonly policies?: PolicyTexts };

const schemaName = 'sallyport';

// Cedar has no call that frees a set: what is put under a used id replaces what was there. Four ids hold the set in
// force, the one that is about to replace it, and the permits of each.
const emptySlots: readonly [Slot, Slot, Slot, Slot] = [
  { id: 'a' },
  { id: 'b' },
  { id: 'c' },
  { id: 'd' },
];

/** Makes an engine. `load` returns a new instance on every call, in 10 ms once the file has been read. */
export function createPolicyEngine(load: () => Cedar = loadCedar): PolicyEngine {
  let instance: Cedar | undefined;
  /** The oldest first. */
  let slots = emptySlots;

  const call = <T>(run: (cedar: Cedar) => T): T => {
    instance ??= startCedar(load);
    try {
      return run(instance);
    } catch (cause) {
      // Cedar reports errors as answers. Whatever is thrown has cut its stack off in the middle: the memory is not
      // to be trusted, and after a trap every later call traps as well.
      instance = undefined;
      slots = emptySlots;
      throw cause;
    }
  };

  const hold = (policies: PolicyTexts): string => {
    const held = slots.find((slot) => slot.policies === policies);
    if (held !== undefined) return held.id;
    const set = { staticPolicies: { ...policies } };
    requireSuccess(call((cedar) => cedar.preparsePolicySet(slots[0].id, set)));
    const [{ id }, ...newer] = slots;
    slots = [...newer, { id, policies }];
    return id;
  };

  return {
    call,
    authorize: (policies, request) => {
      const question = { ...request, preparsedSchemaName: schemaName, validateRequest: true };
      const preparsedPolicySetId = hold(policies);
      return call((cedar) => cedar.statefulIsAuthorized({ ...question, preparsedPolicySetId }));
    },
  };
}

/**
 * Loads Cedar anew. Its script makes one instance when it is evaluated and keeps it, so a new instance is a new
 * evaluation; a bundle that has the script inlined could not do that.
 */
export function loadCedar(): Cedar {
  // A fresh loader: it keeps what it has loaded, and would keep broken instances.
  const load = createRequire(import.meta.url);
  const file = load.resolve('@cedar-policy/cedar-wasm/nodejs');
  delete load.cache[file];
  const loaded: unknown = load(file);
  if (!isCedar(loaded)) throw new Error('the Cedar package has other calls than expected');
  return loaded;
}

function startCedar(load: () => Cedar): Cedar {
  const cedar = load();
  requireSuccess(cedar.preparseSchema(schemaName, policySchema));
  return cedar;
}

function isCedar(value: unknown): value is Cedar {
  return typeof value === 'object' && value !== null && 'statefulIsAuthorized' in value;
}

function requireSuccess(answer: CedarModule.CheckParseAnswer): void {
  if (answer.type === 'failure')
    throw new Error(answer.errors.map(({ message }) => message).join('; '));
}
