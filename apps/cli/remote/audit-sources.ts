import { leafHashOf, nodeHashOf } from '#libs/audit/log-growth.js';
import type { Client } from '#libs/client/client.js';
import { boundedBytes } from '#libs/platform/bounded-bytes.js';
import { fromBase64, HASH_BYTES, hashFromBase64 } from '#libs/tlog/bytes.js';
import { BUNDLE_ENTRIES, decodeEntries, MAX_ENTRY_BYTES } from '#libs/tlog/entries.js';
import { ProofError } from '#libs/tlog/proof-error.js';
import { formatTilePath, tileWidth } from '#libs/tlog/tiles.js';
import { ChangedLeaves } from '#libs/tlog/whole-log.js';
import { EXIT_REFUSED } from '../exit-codes.js';
import { Failure } from './failure.js';
import { linesOf } from './lines.js';

/** An entry to verify, and its leaf hash if that was received too. */
export interface Received {
  readonly entry: Uint8Array;
  readonly hash?: Uint8Array;
}

/** Consecutive entries. */
export interface ReceivedEntries {
  readonly received: readonly Received[];
  /** Contains the bytes of all of them. */
  readonly bytes: Uint8Array;
}

/** What is left of a bundle whose entries were pruned: its root or, if that is needed and was kept, its leaf hashes. */
export type PrunedBundle = { readonly root: Uint8Array } | { readonly hashes: readonly Uint8Array[] };

/** Where an audit log comes from: a server, or a file. */
export interface AuditLogSource {
  readonly organizationId: string;
  readonly checkpoint: string;
  readonly vkeys: readonly string[];
  /** Entries below it were pruned. */
  readonly minimum: number;
  /** The bundles below the minimum, in order. @param inside sizes of trees: the leaf hashes of their bundles are needed */
  pruned(size: number, inside: readonly number[]): AsyncIterable<PrunedBundle>;
  /** All entries from the minimum on, in order. @param withHashes whether to receive the leaf hashes, too, if that costs more */
  entries(size: number, withHashes: boolean): AsyncIterable<ReceivedEntries>;
  /** The roots of the full bundles: they tell which one was changed, if no leaf hash tells more. A file has none. */
  bundleRoots?(size: number): Promise<readonly Uint8Array[]>;
}

/** Requests that wait for the server at once. */
const AT_ONCE = 8;
/** Node's own SHA-256. */
export const HASHES = { leafHash: leafHashOf, nodeHash: nodeHashOf };
export const FORMAT = 'keyledger-audit-proofs@1';

export async function fromServer(api: Client, organizationId: string): Promise<AuditLogSource> {
  const params = { id: organizationId };
  const checkpoint = await textOf(await api.audit.checkpoint({ params }));
  const vkeys = (await textOf(await api.audit.vkeys({ params }))).trim().split('\n');
  const minimum = (await api.audit.getRetention({ params })).pruned_below ?? 0;
  const tile = async (level: number | 'entries', index: number, width: number) => {
    const path = formatTilePath({ level, index, width });
    const bytes = level === 'entries' ? 2 + MAX_ENTRY_BYTES : HASH_BYTES;
    return bytesOf(path, await api.audit.tile({ params: { ...params, tile: path } }), width * bytes);
  };
  const hashes = async (level: number, index: number, size: number) => {
    const width = tileWidth({ level, index }, size);
    const bytes = await tile(level, index, width);
    if (bytes.length !== width * HASH_BYTES) throw new ProofError(`The tile ${level}/${index} is malformed`);
    return Array.from({ length: width }, (_, n) => bytes.subarray(n * HASH_BYTES, (n + 1) * HASH_BYTES));
  };
  const bundle = async (index: number, size: number, withHashes: boolean): Promise<ReceivedEntries> => {
    const width = tileWidth({ level: 'entries', index }, size);
    const bytes = await tile('entries', index, width);
    const entries = decode(bytes, index, width);
    return { bytes, received: receivedOf(entries, withHashes ? await hashes(0, index, size) : null) };
  };
  return {
    organizationId,
    checkpoint,
    vkeys,
    minimum,
    async *pruned(size, inside) {
      const bundles = minimum / BUNDLE_ENTRIES;
      for (let first = 0; first < bundles; first += BUNDLE_ENTRIES) {
        const index = first / BUNDLE_ENTRIES;
        const roots = await hashes(1, index, size);
        for (const [n, root] of roots.slice(0, bundles - first).entries()) {
          yield isAnyInside(first + n, inside) ? { hashes: await hashes(0, first + n, size) } : { root };
        }
      }
    },
    async *entries(size, withHashes) {
      const count = Math.ceil(size / BUNDLE_ENTRIES);
      const waiting: Promise<ReceivedEntries>[] = [];
      for (let next = minimum / BUNDLE_ENTRIES; next < count || waiting.length > 0;) {
        while (next < count && waiting.length < AT_ONCE) {
          const request = bundle(next++, size, withHashes);
          // A failure is reported when its turn comes.
          request.catch(() => undefined);
          waiting.push(request);
        }
        yield await waiting.shift()!;
      }
    },
    async bundleRoots(size) {
      const roots: Uint8Array[] = [];
      for (let index = 0; tileWidth({ level: 1, index }, size) > 0; index++) {
        roots.push(...(await hashes(1, index, size)));
      }
      return roots;
    },
  };
}

function receivedOf(entries: readonly Uint8Array[], hashes: readonly Uint8Array[] | null): Received[] {
  return entries.map((entry, n) => (hashes ? { entry, hash: hashes[n]! } : { entry }));
}

/** Whether one of the trees ends within the bundle, and not with it. */
export function isAnyInside(bundle: number, sizes: readonly number[]): boolean {
  return sizes.some((size) => size % BUNDLE_ENTRIES > 0 && Math.floor(size / BUNDLE_ENTRIES) === bundle);
}

/** A checkpoint with 100 signatures and as many keys have less. */
const MAX_TEXT_BYTES = 100_000;

async function textOf(response: Response): Promise<string> {
  return (await bytesOf('text', response, MAX_TEXT_BYTES)).toString();
}

/** @throws ProofError if the response has more bytes than what was asked for can have */
async function bytesOf(what: string, response: Response, most: number): Promise<Buffer> {
  const bytes = await boundedBytes(response, most);
  if (!bytes) throw new ProofError(`The server sends more than ${what} can have`);
  return bytes;
}

function decode(bundle: Uint8Array, index: number, width: number): Uint8Array[] {
  const first = index * BUNDLE_ENTRIES;
  try {
    const entries = decodeEntries(bundle);
    if (entries.length === width) return entries;
  } catch {
    // It ends inside an entry.
  }
  throw new ChangedLeaves(first, width, `The entries of the leaves ${first} to ${first + width - 1} are malformed`);
}

/** Reads what `keyledger audit export --proofs` wrote. @throws Failure if it is not that: it proves nothing, either way */
export async function fromFile(path: string): Promise<AuditLogSource> {
  const lines = linesOf(path);
  const first = await lines.next();
  await lines.return(undefined);
  const head = first.done ? null : headOf(first.value);
  if (!head) {
    throw new Failure(`${path} is not what \`keyledger audit export --proofs\` writes: give that file.`, EXIT_REFUSED);
  }
  const bundles = head.minimum / BUNDLE_ENTRIES;
  return {
    ...head,
    async *pruned() {
      let index = -1;
      for await (const line of linesOf(path, { terminated: true })) {
        if (index >= 0) yield { root: rootOf(line, index) };
        index += 1;
        if (index === bundles) return;
      }
    },
    async *entries() {
      let index = head.minimum - bundles - 1;
      for await (const line of linesOf(path, { terminated: true })) {
        if (index >= head.minimum) {
          const received = entryOf(line, index);
          yield { bytes: received.entry, received: [received] };
        }
        index += 1;
      }
    },
  };
}

function headOf(line: Buffer): Omit<AuditLogSource, 'entries' | 'pruned'> | null {
  try {
    const {
      format,
      organization_id,
      checkpoint,
      vkeys,
      pruned_below: minimum = 0,
    } = JSON.parse(line.toString()) as Record<string, unknown>;
    if (format !== FORMAT || typeof organization_id !== 'string' || typeof checkpoint !== 'string') return null;
    if (!Number.isSafeInteger(minimum) || Number(minimum) < 0 || Number(minimum) % BUNDLE_ENTRIES > 0) return null;
    return {
      organizationId: organization_id,
      checkpoint,
      vkeys: Array.isArray(vkeys) ? vkeys.map(String) : [],
      minimum: Number(minimum),
    };
  } catch {
    return null;
  }
}

/** One line of the file: the root of a pruned bundle. */
export function rootLine(index: number, root: Uint8Array): string {
  return `${JSON.stringify({ bundle: index, root: Buffer.from(root).toString('base64') })}\n`;
}

function rootOf(line: Buffer, index: number): Uint8Array {
  const [, found, root] = /^\{"bundle":(\d{1,16}),"root":"([^"]{44})"\}$/.exec(line.subarray(0, 200).toString()) ?? [];
  if (Number(found) !== index) {
    throw new ChangedLeaves(index * BUNDLE_ENTRIES, BUNDLE_ENTRIES, `The root of bundle ${index} is missing`);
  }
  return hashFromBase64(`The root of bundle ${index}`, root!);
}

/** One line of the file: the exact bytes of the entry, or base64 if they are no line of text. */
export function lineOf(index: number, entry: Uint8Array, hash: Uint8Array): Buffer {
  const start = `{"leaf_index":${index},"leaf_hash":"${Buffer.from(hash).toString('base64')}",`;
  const bytes = Buffer.from(entry);
  const isLine = !bytes.includes(10) && !bytes.includes(13) && Buffer.from(bytes.toString()).equals(bytes);
  if (!isLine) return Buffer.from(`${start}"entry":"${bytes.toString('base64')}"}\n`);
  return Buffer.concat([Buffer.from(`${start}"event":`), bytes, Buffer.from('}\n')]);
}

function entryOf(line: Buffer, index: number): Received {
  const start = /^\{"leaf_index":(\d{1,16}),"leaf_hash":"([^"]{44})","(entry|event)":/.exec(
    line.subarray(0, 200).toString(),
  );
  if (!start || line.at(-1) !== '}'.charCodeAt(0)) throw malformed(index);
  const [{ length }, found, hash, kind] = start;
  if (Number(found) !== index) {
    throw new ChangedLeaves(index, 1, `Leaf ${index} is missing: leaf ${found} is in its place`);
  }
  const rest = line.subarray(length, -1);
  try {
    const entry = kind === 'event' ? rest : fromBase64('The entry', /^"(.*)"$/.exec(rest.toString())?.[1] ?? ' ');
    return { entry, hash: hashFromBase64('The hash', hash!) };
  } catch {
    throw malformed(index);
  }
}

function malformed(index: number): ChangedLeaves {
  return new ChangedLeaves(index, 1, `The line of leaf ${index} is malformed`);
}
