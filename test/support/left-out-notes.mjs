import { existsSync, readFileSync } from 'node:fs';

/** Reads the notes that the test files of this run made with `leftOut`. */
export function readLeftOut() {
  const file = process.env.KEYLEDGER_LEFT_OUT;
  if (!file || !existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}
