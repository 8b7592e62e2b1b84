import { appendFileSync } from 'node:fs';
import { expect } from '@jest/globals';

/** Notes what this machine cannot test, and how to have it. The end of the run prints it; with `CI` set, that is a failure. */
export function leftOut(why: string, how: string): void {
  const file = process.env['KEYLEDGER_LEFT_OUT'];
  if (file) appendFileSync(file, `${JSON.stringify({ why, how, test: expect.getState().testPath })}\n`);
}
