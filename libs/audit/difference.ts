import { isDeepStrictEqual } from 'node:util';
import { asEnvelope, type EventEnvelope } from '#libs/contract/events.js';

/** Something that is stored does not follow from the entries. */
export class Difference extends Error {}

/** Bytes are compared by content. */
export function same(what: string, stored: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(plain(stored), plain(expected))) throw new Difference(differing(what)!);
}

export function differing(what: string | null): string | null {
  return what && `${what} differs from its entries`;
}

function plain(value: unknown): unknown {
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value;
}

export function surplus(what: string): Difference {
  return new Difference(`there is ${what} that no entry has`);
}

export function readEnvelope(leafIndex: number, entry: Uint8Array): EventEnvelope {
  try {
    return asEnvelope(JSON.parse(Buffer.from(entry).toString()));
  } catch {
    throw new Difference(`leaf ${leafIndex} is not an event`);
  }
}
