import { ApiError } from '#libs/client/client.js';
import { BUNDLE_ENTRIES } from '#libs/tlog/entries.js';
import type { Tree } from '#libs/tlog/proofs.js';
import { tileWidth } from '#libs/tlog/tiles.js';
import { pause } from '../session/pause.js';
import { isAway } from '../session/reachability.js';
import type { LogRequests } from './log-requests.js';
import type { Hasher } from './whole-log-hasher.js';
import type { Bundle, Reply } from './whole-log-reply.js';

/** Requests that wait for the server at once. */
const AT_ONCE = 4;
const ATTEMPTS = 5;
const FIRST_WAIT_MS = 500;

export interface WholeLogOptions {
  /** The tree of the verified checkpoint. */
  readonly tree: Tree;
  readonly tile: LogRequests['tile'];
  /** Entries below it were pruned, bundle by bundle: the roots of the bundles take their place. */
  readonly prunedBelow: number;
  readonly startHasher: (tree: Tree) => Hasher;
  /** Resolves when the next bundle may be read. */
  readonly turn: () => Promise<void>;
  /** @param locating whether the log is read again, to find the first wrong entry */
  readonly onNext: (next: number, locating: boolean) => void;
  readonly signal: AbortSignal;
}

export type Fault = Extract<Reply, { readonly fault: string }>;

/**
 * Reads all entries of a log and compares them with a checkpoint. Only a few bundles are in memory at a time.
 * @returns what is wrong, or null
 */
export async function verifyWholeLog(options: WholeLogOptions): Promise<Fault | null> {
  const fault = await readAll(options, false);
  if (!fault || fault.leafIndex !== undefined) return fault;
  return (await readAll(options, true)) ?? fault;
}

async function readAll(options: WholeLogOptions, withHashes: boolean): Promise<Fault | null> {
  const { tree, startHasher, turn, onNext } = options;
  const hasher = startHasher(tree);
  const count = Math.ceil(tree.size / BUNDLE_ENTRIES);
  const waiting: Promise<Bundle>[] = [];
  onNext(0, withHashes);
  const fault = await readRoots(options, hasher);
  if (fault) return fault;
  for (let next = options.prunedBelow / BUNDLE_ENTRIES; next < count || waiting.length > 0;) {
    await turn();
    for (; next < count && waiting.length < AT_ONCE; next++) {
      const request = download(next, options, withHashes);
      // A failure is reported when its turn comes.
      request.catch(() => undefined);
      waiting.push(request);
    }
    const reply = await hasher.add(await waiting.shift()!);
    if ('fault' in reply) return reply;
    onNext(reply.next, withHashes);
  }
  const end = await hasher.add(null);
  return 'fault' in end ? end : null;
}

/** Reads the roots of the pruned bundles: 256 from each tile. */
async function readRoots(
  { tree, tile, prunedBelow, turn, signal }: WholeLogOptions,
  hasher: Hasher,
): Promise<Fault | null> {
  if (prunedBelow > tree.size || prunedBelow % BUNDLE_ENTRIES > 0) {
    return {
      fault: `The log has ${tree.size} entries, and the server says that those below ${prunedBelow} were pruned`,
    };
  }
  const count = prunedBelow / BUNDLE_ENTRIES;
  for (let first = 0; first < count; first += BUNDLE_ENTRIES) {
    await turn();
    const wanted = { level: 1, index: first / BUNDLE_ENTRIES, width: Math.min(BUNDLE_ENTRIES, count - first) };
    const reply = await hasher.add({ roots: await persistently(() => tile(wanted), signal) });
    if ('fault' in reply) return reply;
  }
  return null;
}

async function download(index: number, options: WholeLogOptions, withHashes: boolean): Promise<Bundle> {
  const width = tileWidth({ level: 'entries', index }, options.tree.size);
  const tile = (level: number | 'entries') => persistently(() => options.tile({ level, index, width }), options.signal);
  const bytes = await tile('entries');
  return withHashes ? { bytes, width, hashes: await tile(0) } : { bytes, width };
}

/** Tries again while the server is busy, restarts or cannot be reached. */
async function persistently<T>(request: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let attempt = 1, wait = FIRST_WAIT_MS; ; attempt++, wait *= 2) {
    try {
      return await request();
    } catch (error) {
      const isPassing = isAway(error) || (error instanceof ApiError && error.problem.status === 429);
      if (signal.aborted || attempt === ATTEMPTS || !isPassing) throw error;
    }
    await pause(wait, signal);
  }
}
