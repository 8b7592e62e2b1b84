import { finished } from 'node:stream/promises';
import ipaddr from 'ipaddr.js';
import { LRUCache } from 'lru-cache';
import type pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');
const HEADER_BYTES = SIGNATURE.length + 8;
const TRAILER = -1;
const NULL = -1;
const FIRST_BYTES = 1 << 20;
/** The most bytes that a value of a fixed type takes, including its length. */
const MAX_FIXED_BYTES = 32;
/** PostgreSQL counts from 2000-01-01. */
const EPOCH_MS = Date.UTC(2000, 0, 1);
const HALF = 2 ** 32;
const INET = { ipv4: 2, ipv6: 3 };

/** Buffers for reuse: allocating new memory costs more for each row than writing the row. */
const spare: Buffer[] = [];
const MAX_SPARE = 2;
const MAX_SPARE_BYTES = 1 << 24;

/** Parsed addresses. The same callers occur again and again, and a lookup is faster than parsing. */
const addresses = new LRUCache<string, Uint8Array>({
  max: 10_000,
  maxSize: 4 * 1024 * 1024,
  sizeCalculation: (bytes, address) => 200 + address.length + bytes.length,
  memoMethod: inetOf,
});

/** The positions of a UUID's digits, between its hyphens. */
const UUID_PARTS = [
  [0, 8],
  [9, 13],
  [14, 18],
  [19, 23],
  [24, 36],
] as const;

/** The value of each hexadecimal digit. */
const NIBBLES = new Uint8Array(128);
for (let value = 0; value < 16; value++) {
  const digit = value.toString(16);
  NIBBLES[digit.charCodeAt(0)] = NIBBLES[digit.toUpperCase().charCodeAt(0)] = value;
}

/**
 * Rows for COPY in PostgreSQL's binary format. Bytes are sent as they are, whereas a parameter would be written as text
 * and parsed again by the server. This halves the database's cost of a row of the audit log. For each row, call
 * `row()`, then one method for each value, in the order of the columns.
 *
 * @see https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
 */
export class BinaryRows {
  #bytes = spare.pop() ?? Buffer.allocUnsafe(FIRST_BYTES);
  #end = HEADER_BYTES;

  constructor(private readonly columns: number) {
    SIGNATURE.copy(this.#bytes);
    this.#bytes.fill(0, SIGNATURE.length, HEADER_BYTES);
  }

  row(): this {
    this.#reserve(2);
    this.#end = this.#bytes.writeInt16BE(this.columns, this.#end);
    return this;
  }

  /** @param uuid with its hyphens */
  uuid(uuid: string | null): this {
    if (uuid === null) return this.#null();
    this.#length(16);
    for (const [from, to] of UUID_PARTS) this.#putHex(uuid, from, to);
    return this;
  }

  /** @param digits two for each byte */
  hex(digits: string): this {
    this.#length(digits.length / 2);
    this.#putHex(digits, 0, digits.length);
    return this;
  }

  /** @param value a safe integer */
  bigint(value: number): this {
    return this.#int64(Math.floor(value / HALF), value % HALF);
  }

  /** @returns the place for {@link fillBigint}, which must fill it before the rows are sent */
  laterBigint(): number {
    this.bigint(0);
    return this.#end - 8;
  }

  fillBigint(place: number, value: number): void {
    this.#putInt64(Math.floor(value / HALF), value % HALF, place);
  }

  /** @param ms since 1970 */
  timestamp(ms: number): this {
    const since = ms - EPOCH_MS;
    const high = Math.floor(since / HALF);
    // Microseconds of each half separately: as one number they would be too large to be exact.
    const low = (since - high * HALF) * 1000;
    return this.#int64(high * 1000 + Math.floor(low / HALF), low % HALF);
  }

  bytes(value: Uint8Array): this {
    this.#length(value.length);
    this.#bytes.set(value, this.#end);
    this.#end += value.length;
    return this;
  }

  text(text: string | null): this {
    if (text === null) return this.#null();
    // UTF-8 takes at most three bytes for each UTF-16 unit. The actual length is known after writing.
    this.#length(text.length * 3);
    const written = this.#bytes.write(text, this.#end);
    this.#bytes.writeInt32BE(written, this.#end - 4);
    this.#end += written;
    return this;
  }

  /**
   * @param address a single address, without a prefix length, and no IPv6 address that ends like IPv4, which ipaddr.js
   * misreads
   */
  inet(address: string | null): this {
    if (address === null) return this.#null();
    return this.bytes(addresses.memo(address));
  }

  /**
   * Sends the rows. They cannot be used again.
   * @param into the table and its columns, in parentheses
   */
  async copy(client: pg.ClientBase, into: string): Promise<void> {
    this.#reserve(2);
    const end = this.#bytes.writeInt16BE(TRAILER, this.#end);
    const copy = client.query(copyFrom(`COPY ${into} FROM STDIN (FORMAT binary)`));
    copy.end(this.#bytes.subarray(0, end));
    await finished(copy);
    if (spare.length < MAX_SPARE && this.#bytes.length <= MAX_SPARE_BYTES) spare.push(this.#bytes);
  }

  #int64(high: number, low: number): this {
    this.#length(8);
    this.#end = this.#putInt64(high, low, this.#end);
    return this;
  }

  /** In two halves: making a BigInt takes ten times as long. */
  #putInt64(high: number, low: number, place: number): number {
    return this.#bytes.writeUInt32BE(low >>> 0, this.#bytes.writeInt32BE(high, place));
  }

  /** In JavaScript: for so few bytes, a call into Node's native code takes several times as long. */
  #putHex(digits: string, from: number, to: number): void {
    for (let at = from; at < to; at += 2) {
      this.#bytes[this.#end++] = (NIBBLES[digits.charCodeAt(at)]! << 4) | NIBBLES[digits.charCodeAt(at + 1)]!;
    }
  }

  #null(): this {
    this.#reserve(4);
    this.#end = this.#bytes.writeInt32BE(NULL, this.#end);
    return this;
  }

  /** Writes the length of the next value, and reserves room for the value. */
  #length(bytes: number): void {
    this.#reserve(4 + Math.max(bytes, MAX_FIXED_BYTES));
    this.#end = this.#bytes.writeInt32BE(bytes, this.#end);
  }

  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#end + bytes));
    this.#bytes.copy(larger, 0, 0, this.#end);
    this.#bytes = larger;
  }
}

function inetOf(address: string): Uint8Array {
  const [base, bits] = address.split('/');
  const parsed = ipaddr.parse(base!);
  const bytes = parsed.toByteArray();
  return Uint8Array.of(INET[parsed.kind()], Number(bits ?? bytes.length * 8), 0, bytes.length, ...bytes);
}
