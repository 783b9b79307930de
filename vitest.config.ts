import { defineConfig } from 'vitest/config';

// Unit tests share no state, so a process can run many files and load each module once.
const unit = { include: ['test/unit/**/*.test.ts'], isolate: false };

// Integration tests start real programs on two cores: one file at a time keeps their deadlines honest. The properties
// run here as often as they are promised to; in the unit project they run as often as one has time for.
const integration = {
  include: ['test/integration/**/*.test.ts', 'test/unit/*-properties.test.ts'],
  fileParallelism: false,
  testTimeout: 60_000,
  hookTimeout: 60_000,
};

// For hours when nobody waits: every unit test with its properties in their long form, and what only shows after long.
const soak = {
  include: ['test/soak/**/*.test.ts', ...unit.include],
  setupFiles: ['test/soak/many-runs.ts'],
  fileParallelism: false,
  testTimeout: 1_800_000,
};

export default defineConfig(({ mode }) => ({
  test: {
    // Outside its host @azure/functions says at each import that it registers nothing, which is what a test wants.
    onConsoleLog: (log) => !/in test mode|cannot have a body|test mode/.test(log),
    projects:
      mode === 'soak'
        ? [{ test: { name: 'soak', provide: { effort: 'long' }, ...soak } }]
        : [
            { test: { name: 'unit', provide: { effort: 'short' }, ...unit } },
            { test: { name: 'integration', provide: { effort: 'full' }, ...integration } },
          ],
  },
}));
