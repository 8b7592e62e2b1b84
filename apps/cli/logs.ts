import { copyFileSync, openSync, readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';

const LARGEST = 20_000_000;
const CHECK_EVERY_MS = 60_000;

/** For appending, which is what lets `capLogs` cut the file under its writer. */
export function openLog(file: string): number {
  return openSync(file, 'a', 0o600);
}

/** Keeps each log of the folder below about 20 MB, with one older part of the same size beside it. */
export function capLogs(directory: string): { end(): void } {
  const cap = () => {
    for (const name of readdirSync(directory)) if (name.endsWith('.log')) capLog(join(directory, name));
  };
  cap();
  const timer = setInterval(cap, CHECK_EVERY_MS);
  return { end: () => clearInterval(timer) };
}

/** Lines written between the two calls are lost, and so is the older part when we die between them: it is only a log. */
function capLog(file: string): void {
  if (statSync(file).size < LARGEST) return;
  copyFileSync(file, `${file}.1`);
  truncateSync(file);
}
