import { readFileSync } from 'node:fs';
import { relative, sep } from 'node:path';
import { faultsOfRun, sentencesOf } from './documented-tests.ts';
import { readLeftOut } from './left-out-notes.mjs';

/** Fails the run if a test that docs/sources.md names is missing or was skipped. */
export default class DocumentedTestsReporter {
  #config;
  #error;

  constructor(globalConfig) {
    this.#config = globalConfig;
  }

  onRunComplete(_contexts, { testResults, wasInterrupted }) {
    // With a pattern of names, the user skips tests on purpose.
    if (this.#config.testNamePattern || wasInterrupted) return;
    const named = sentencesOf(readFileSync(`${this.#config.rootDir}/docs/sources.md`, 'utf8')).flatMap(
      ({ tests }) => tests,
    );
    const run = testResults
      // A file that could not be loaded has failed already, and its tests are unknown.
      .filter(({ testExecError }) => !testExecError)
      .map(({ testFilePath, testResults: tests }) => ({ file: this.#inTree(testFilePath), tests }));
    const leftOut = new Set(readLeftOut().map(({ test }) => this.#inTree(test)));
    const faults = [...new Set(faultsOfRun(named, run, leftOut))];
    if (faults.length === 0) return;
    this.#error = new Error(`Tests that docs/sources.md names:\n${faults.map((fault) => `  ${fault}`).join('\n')}`);
    process.stderr.write(`\n${this.#error.message}\n`);
  }

  getLastError() {
    return this.#error;
  }

  #inTree(path) {
    return relative(this.#config.rootDir, path).replaceAll(sep, '/');
  }
}
