import { copyFileSync, openSync, readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';

const LARGEST = 20_000_000;
const CHECK_EVERY_MS = 60_000;

/** Opens the log for appending, so that `capLogs` can truncate it while it is being written. */
export function openLog(file: string): number {
  return openSync(file, 'a', 0o600);
}

/** Keeps each log of the folder below about 20 MB, plus one older part of the same size. */
export function capLogs(directory: string): { end(): void } {
  const cap = () => {
    for (const name of readdirSync(directory)) if (name.endsWith('.log')) capLog(join(directory, name));
  };
  cap();
  const timer = setInterval(cap, CHECK_EVERY_MS);
  return { end: () => clearInterval(timer) };
}

/** Lines written between the two calls are lost; a crash between them also loses the older part. */
function capLog(file: string): void {
  if (statSync(file).size < LARGEST) return;
  copyFileSync(file, `${file}.1`);
  truncateSync(file);
}
