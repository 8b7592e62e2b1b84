import { spawnSync } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { describe, expect } from '@jest/globals';

/**
 * Notes a test that this machine cannot run, and what it needs. The notes are printed at the end of the run; with `CI`
 * set, they make it fail.
 */
export function leftOut(why: string, how: string): void {
  const file = process.env['KEYLEDGER_LEFT_OUT'];
  if (file) appendFileSync(file, `${JSON.stringify({ why, how, test: expect.getState().testPath })}\n`);
}

/** `describe` if the command succeeds. Otherwise the tests are skipped, and the run says so. */
export function describeWith(
  command: string,
  args: string[],
  why: string,
  how: string,
): typeof describe | typeof describe.skip {
  if (spawnSync(command, args).status === 0) return describe;
  leftOut(why, how);
  return describe.skip;
}
