import { promisify } from 'node:util';
import { constants, zstdCompressSync, zstdDecompress, zstdDecompressSync } from 'node:zlib';
import { BUNDLE_ENTRIES, decodeEntries, encodeEntries, forEachEntry, MAX_ENTRY_BYTES } from '#libs/tlog/entries.js';
import { damaged } from './damage.js';
import type { Leaf } from './leaf.js';

/** The fastest level: 256 uses of 600 bytes take 50 bytes each, and 1 µs each to compress. */
const OPTIONS = { params: { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_checksumFlag]: 1 } };
const MAX_BODY_BYTES = BUNDLE_ENTRIES * (2 + MAX_ENTRY_BYTES);

/** Entries as a body: an entry bundle of C2SP `tlog-tiles`, compressed with zstd. */
export function packBody(entries: readonly Uint8Array[]): Buffer {
  return zstdCompressSync(encodeEntries(entries), OPTIONS);
}

/** Entries that are stored together. */
interface Stored {
  /** The leaf index of the first entry. */
  readonly first: number;
  readonly count: number;
  readonly body: Uint8Array;
}

/**
 * @param organizationId a bare UUID
 * @throws DomainError `audit_log_damaged`
 */
export function entriesOf(organizationId: string, { first, count, body }: Stored): Uint8Array[] {
  try {
    return unpackBody(body, count);
  } catch (error) {
    throw damaged(organizationId, first, first + count, error);
  }
}

/** Selects entries by their bytes. The function that it returns for a bundle is called for each entry, in order. */
export type Selection = (bundle: Uint8Array) => (start: number, end: number) => boolean;

/** Entries in memory that is freed when they are disposed of. */
export class OpenEntries implements Disposable {
  constructor(
    readonly leaves: readonly Leaf[],
    private readonly memory: ArrayBuffer,
  ) {}

  /**
   * The garbage collector would free it too, but after 64 MB of such memory it searches the whole heap for it, and the
   * serving thread waits for that.
   */
  [Symbol.dispose](): void {
    this.memory.transfer(0);
  }
}

/** A larger body is decompressed in another thread: 14 MB would take the serving thread 30 ms. */
const SMALL_BODY_BYTES = 100_000;
const decompressElsewhere = promisify(zstdDecompress);

/**
 * Like {@link entriesOf}, for a process that serves requests meanwhile.
 * @param select all entries by default
 */
export async function openEntries(
  organizationId: string,
  { first, count, body }: Stored,
  select?: Selection,
): Promise<OpenEntries> {
  try {
    const isSmall = body.length <= SMALL_BODY_BYTES;
    const bundle = isSmall ? zstdDecompressSync(body, LIMITS) : await decompressElsewhere(body, LIMITS);
    const isSelected = select?.(bundle);
    const leaves: Leaf[] = [];
    let index = first;
    forEachEntry(bundle, (start, end) => {
      if (!isSelected || isSelected(start, end)) leaves.push({ index, entry: bundle.subarray(start, end) });
      index += 1;
    });
    requireCount(index - first, count);
    return new OpenEntries(leaves, bundle.buffer);
  } catch (error) {
    throw damaged(organizationId, first, first + count, error);
  }
}

/**
 * @param count the number of entries that the body must have
 * @throws Error if the body is damaged
 */
export function unpackBody(body: Uint8Array, count: number): Uint8Array[] {
  const { buffer, length } = zstdDecompressSync(body, LIMITS);
  // The entries keep this memory, so it is cut to their size.
  const entries = decodeEntries(new Uint8Array(buffer.transfer(length)));
  requireCount(entries.length, count);
  return entries;
}

function requireCount(entries: number, count: number): void {
  if (entries !== count) throw new RangeError(`A body has ${entries} entries instead of ${count}`);
}

/** A usual bundle has 150 kB, so it is one chunk. Several chunks are copied into one. */
const LIMITS = { chunkSize: 256 * 1024, maxOutputLength: MAX_BODY_BYTES };
