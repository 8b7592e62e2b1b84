import type { Option } from 'commander';
import { collect, collectRateLimit } from './options.js';
import { collectWhere } from './where.js';

const COLLECTORS: ReadonlySet<unknown> = new Set([collect, collectRateLimit, collectWhere]);

/** Whether each use of the option adds to a list. */
export function mayRepeat({ parseArg }: Option): boolean {
  return COLLECTORS.has(parseArg);
}
