/** How often each thing is measured. Every count is a bound: a run ends by itself. */
export type Effort = {
  /** Calls of each kind before any is measured, so that hot code is compiled as in a broker that has been in use. */
  readonly warmUp: number;
  /** How often each load is repeated; rates and CPU have one sample per round. */
  readonly rounds: number;
  /** How many callers ask at a time, and how many sessions they ask for in one round. */
  readonly loads: readonly { readonly callers: number; readonly sessions: number }[];
  readonly coldStarts: number;
  readonly connections: number;
  /** How often a command is started, from process start to first byte. */
  readonly commands: number;
  /** Batches of the micro measurements, and calls in each. */
  readonly batches: number;
  readonly calls: number;
  /** How often each policy set is taken in. */
  readonly policyLoads: number;
  /** How many past decisions are simulated, and how often. */
  readonly pastDecisions: number;
  readonly simulations: number;
};

/** What the published figures are made with: two to three minutes on two cores. */
export const fullEffort: Effort = {
  warmUp: 300,
  rounds: 5,
  loads: [
    { callers: 1, sessions: 100 },
    { callers: 8, sessions: 160 },
    { callers: 32, sessions: 320 },
  ],
  coldStarts: 7,
  connections: 150,
  commands: 15,
  batches: 15,
  calls: 100,
  policyLoads: 7,
  pastDecisions: 10_000,
  simulations: 3,
};

/** Shows that everything runs. Its figures mean nothing. */
export const quickEffort: Effort = {
  warmUp: 10,
  rounds: 1,
  loads: [
    { callers: 1, sessions: 10 },
    { callers: 8, sessions: 16 },
    { callers: 32, sessions: 64 },
  ],
  coldStarts: 1,
  connections: 5,
  commands: 2,
  batches: 2,
  calls: 10,
  policyLoads: 1,
  pastDecisions: 500,
  simulations: 1,
};
