import { availableParallelism } from 'node:os';

/** @type {import('jest').Config} */
export default {
  testMatch: ['<rootDir>/{apps,libs,test}/**/*.spec.ts'],
  testEnvironment: '<rootDir>/test/support/environment.mjs',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '\\.ts$': '@swc/jest',
  },
  moduleNameMapper: {
    '^#libs/(.*)\\.js$': '<rootDir>/libs/$1.ts',
    '^(\\.{1,2}/.*)\\.js$': ['$1.ts', '$1.js'],
  },
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/test/bench/peers/'],
  globalSetup: '<rootDir>/test/support/global-setup.mjs',
  globalTeardown: '<rootDir>/test/support/global-teardown.mjs',
  reporters: ['default', '<rootDir>/test/support/documented-tests-reporter.mjs'],
  // The memory of a test file's modules is not freed. Jest replaces a worker that has grown to this size, because
  // collecting its garbage takes longer.
  workerIdleMemoryLimit: '1GB',
  // Jest reports a worker that runs longer than this after the last test file as leaking. The default of half a second
  // is too short on a busy machine to free a heap of a gigabyte, or to replace a worker that has just grown too large.
  workerGracefulExitTimeout: 10_000,
  // No test guarantees the speed of the machine: this only ends tests that hang.
  testTimeout: 120_000,
  // On two cores Jest would start one worker. With two, no process runs in a fifth of the time, and with three in a
  // twentieth: most tests wait for a database, a browser or another process.
  maxWorkers: Math.max(3, availableParallelism() - 1),
};
