import * as fc from 'fast-check';

// For the properties that do not say how often they run.
fc.configureGlobal({ numRuns: 10_000 });
