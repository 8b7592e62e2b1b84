import { appendFileSync } from 'node:fs';
import { expect } from '@jest/globals';

/**
 * Notes a test that this machine cannot run, and what it needs. The notes are printed at the end of the run; with `CI`
 * set, they make it fail.
 */
export function leftOut(why: string, how: string): void {
  const file = process.env['KEYLEDGER_LEFT_OUT'];
  if (file) appendFileSync(file, `${JSON.stringify({ why, how, test: expect.getState().testPath })}\n`);
}
