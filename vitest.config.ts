import { defineConfig } from 'vitest/config';

// Integration tests start real programs on two cores: one file at a time keeps their deadlines honest.
const integration = { fileParallelism: false, testTimeout: 60_000, hookTimeout: 60_000 };

export default defineConfig({
  test: {
    // Outside its host @azure/functions says at each import that it registers nothing, which is what a test wants.
    onConsoleLog: (log) => !/in test mode|cannot have a body|test mode/.test(log),
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'] } },
      { test: { name: 'integration', include: ['test/integration/**/*.test.ts'], ...integration } },
    ],
  },
});
