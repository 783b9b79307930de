import { describePolicySource } from '../support/policy-source-contract.ts';
import { memoryPolicyStore } from '../support/policy-store.ts';

describePolicySource('memoryPolicyStore', async () => memoryPolicyStore());
