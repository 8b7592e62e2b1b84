import { existsSync, readFileSync } from 'node:fs';

/** What the test files of this run have noted with `leftOut`. */
export function readLeftOut() {
  const file = process.env.KEYLEDGER_LEFT_OUT;
  if (!file || !existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}
