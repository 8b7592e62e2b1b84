import { promisify } from 'node:util';
import { constants, zstdCompressSync, zstdDecompress, zstdDecompressSync } from 'node:zlib';
import { BUNDLE_ENTRIES, decodeEntries, encodeEntries, MAX_ENTRY_BYTES } from '#libs/tlog/entries.js';
import { damaged } from './damage.js';

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

/** A larger body is decompressed in another thread: 14 MB would take the serving thread 30 ms. */
const SMALL_BODY_BYTES = 100_000;
const decompress = promisify(zstdDecompress);

/** Like {@link entriesOf}, for a process that serves requests meanwhile. */
export async function readEntries(organizationId: string, stored: Stored): Promise<Uint8Array[]> {
  const { first, count, body } = stored;
  if (body.length <= SMALL_BODY_BYTES) return entriesOf(organizationId, stored);
  try {
    return entriesIn(await decompress(body, { maxOutputLength: MAX_BODY_BYTES }), count);
  } catch (error) {
    throw damaged(organizationId, first, first + count, error);
  }
}

/**
 * @param count the number of entries that the body must have
 * @throws Error if the body is damaged
 */
export function unpackBody(body: Uint8Array, count: number): Uint8Array[] {
  return entriesIn(zstdDecompressSync(body, { maxOutputLength: MAX_BODY_BYTES }), count);
}

function entriesIn(bundle: Uint8Array, count: number): Uint8Array[] {
  const entries = decodeEntries(bundle);
  if (entries.length !== count) throw new RangeError(`A body has ${entries.length} entries instead of ${count}`);
  return entries;
}
