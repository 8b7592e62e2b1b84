import { isIPv4 } from 'node:net';
import { asEnvelope } from '#libs/contract/events.js';
import { addressOf } from './audit-columns.js';
import { addressTest, hasTerms, matcherOf, wantedWithTerms, type StoredFilter } from './audit-filter.js';
import type { Selection } from './bodies.js';
import { mayHaveText } from './event-texts.js';

/** Whether an entry of a bundle is a use or a denial that matches the filter. */
export function entryFilter(filter: StoredFilter): (entry: Uint8Array) => boolean {
  const texts = [filter.userAgent, filter.search].flatMap((text) => (text === undefined ? [] : [mayHaveText(text)]));
  const matches = matcherOf(filter);
  const from = filter.from ? Date.parse(filter.from) : -Infinity;
  const to = filter.to ? Date.parse(filter.to) : Infinity;
  return (entry) => {
    const text = Buffer.from(entry.buffer, entry.byteOffset, entry.byteLength).toString();
    if (!texts.every((mayHave) => mayHave(text))) return false;
    const envelope = asEnvelope(JSON.parse(text));
    if (!hasTerms(envelope.type)) return false;
    const time = Date.parse(envelope.time);
    return time >= from && time < to && matches(envelope);
  };
}

/**
 * Selects the entries that can match the filter, by texts that they must contain. Parsing an entry takes many times as
 * long as looking for a text in it.
 */
export function entrySelection(filter: StoredFilter): Selection {
  const needles = needlesOf(filter);
  const isWantedAddress = filter.ip ? addressComparison(filter.ip) : null;
  return (bundle) => {
    const bytes = Buffer.from(bundle.buffer, bundle.byteOffset, bundle.byteLength);
    const finders = needles.map((any) => any.map((needle) => new Finder(bytes, needle)));
    const addresses = isWantedAddress && new Addresses(bytes);
    return (start, end) => {
      if (addresses) {
        const begin = addresses.in(start, end);
        if (begin === null || !isWantedAddress(bytes, begin)) return false;
      }
      return finders.every((any) => any.some((finder) => finder.in(start, end) !== null));
    };
  };
}

/** Lists of texts. Every matching entry contains at least one of each list. Only texts that JSON writes as they are. */
function needlesOf(filter: StoredFilter): Buffer[][] {
  const { keyId, subject, actorId, secretId, verifiedBy, projectIds, path, requestId } = filter;
  const needles = [keyId, subject, actorId, secretId, verifiedBy, ...(projectIds ?? []), path, requestId]
    .filter((text) => typeof text === 'string' && PLAIN.test(text))
    .map((text) => [text as string]);
  needles.push(wantedWithTerms(filter).map((type) => `"type":"${type}"`));
  return needles.map((any) => any.map((text) => Buffer.from(text)));
}

const PLAIN = /^[\w.:/-]+$/;

/** Finds a text in ranges of a bundle, which it reads once: the ranges must follow each other. */
class Finder {
  #next = -1;

  constructor(
    private readonly bundle: Buffer,
    private readonly text: Buffer,
  ) {}

  /** Where the range first has the text, or null. */
  in(start: number, end: number): number | null {
    if (this.#next < start) {
      const found = this.bundle.indexOf(this.text, start);
      this.#next = found < 0 ? Infinity : found;
    }
    return this.#next + this.text.length <= end ? this.#next : null;
  }
}

/** Before the address of a use or denial, which has only one. */
const ADDRESS = Buffer.from('"ip":"');

/** Finds the addresses of entries. */
class Addresses {
  readonly #finder: Finder;
  /** Where the last entry had its address. The next one nearly always has it at the same place. */
  #place = 0;

  constructor(private readonly bundle: Buffer) {
    this.#finder = new Finder(bundle, ADDRESS);
  }

  /** Where the address of the entry begins, or null if it has none. The entries must follow each other. */
  in(start: number, end: number): number | null {
    const expected = start + this.#place;
    // Behind the end of a short entry, a later one may have its address at this place.
    const isThere = expected < end && hasBytes(this.bundle, expected, ADDRESS);
    const at = isThere ? expected : this.#finder.in(start, end);
    if (at === null) return null;
    this.#place = at - start;
    return at + ADDRESS.length;
  }
}

const [QUOTE, COLON, SLASH] = Buffer.from('":/');

/** Whether the text at a place of a bundle is the wanted address, or contains it, or is within it. */
function addressComparison(wanted: string): (bundle: Buffer, begin: number) => boolean {
  const isWanted = addressTest(wanted);
  const bytes = Buffer.from(`${wanted}"`);
  const hasOneNotation = isIPv4(wanted);
  return (bundle, begin) => {
    if (hasBytes(bundle, begin, bytes)) return true;
    let isOther = hasOneNotation;
    let end = begin;
    for (; end < bundle.length && bundle[end] !== QUOTE; end++) {
      if (bundle[end] === COLON || bundle[end] === SLASH) isOther = false;
    }
    return !isOther && isWanted(addressOf(bundle.toString('latin1', begin, end)));
  };
}

/** A loop, because a call of the buffer's own comparison takes longer than so few bytes. */
function hasBytes(bundle: Buffer, at: number, bytes: Buffer): boolean {
  let n = 0;
  while (n < bytes.length && bundle[at + n] === bytes[n]) n += 1;
  return n === bytes.length;
}
