/** Base64 (RFC 4648, sections 4 and 5), which says nothing about where it begins and ends within another text. */

/** A part of a text that may be base64. */
interface Run {
  readonly begin: number;
  readonly end: number;
}

export interface DecodedPart {
  /** Each byte as a character. */
  readonly text: string;
  /** The positions in the original text of the characters that these decoded ones come from. */
  readonly originOf: (begin: number, end: number) => readonly [begin: number, end: number];
}

/** The letters and digits are in both alphabets. */
const [LETTER, STANDARD, URL_SAFE] = [1, 2, 3] as const;
const KINDS = new Uint8Array(128);
for (const character of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789')
  KINDS[character.charCodeAt(0)] = LETTER;
for (const character of '+/') KINDS[character.charCodeAt(0)] = STANDARD;
for (const character of '-_') KINDS[character.charCodeAt(0)] = URL_SAFE;

/**
 * Decodes every part that may be base64 and is long enough. Other characters may come before the base64, so each part is
 * decoded from each of its first four characters on. Takes time in proportion to the text.
 * @param minBytes the least number of bytes that is of interest
 * @param isWorthDecoding says no to parts whose decoded text is of no interest, as decoding takes longer than looking
 */
export function* base64In(
  text: string,
  minBytes: number,
  isWorthDecoding: (part: string) => boolean,
): Generator<DecodedPart> {
  const minLength = Math.ceil((minBytes * 4) / 3);
  if (text.length < minLength) return;
  for (const { begin, end } of runsIn(text, minLength)) {
    if (!isWorthDecoding(text.slice(begin, end))) continue;
    for (let first = begin; first < begin + 4; first++) {
      yield {
        text: Buffer.from(text.slice(first, end), 'base64').toString('latin1'),
        originOf: (from, to) => [first + Math.floor((from * 4) / 3), Math.min(end, first + Math.ceil((to * 4) / 3))],
      };
    }
  }
}

/** The longest parts in one alphabet. A part of letters and digits alone is found once. */
function runsIn(text: string, minLength: number): Run[] {
  const runs: Run[] = [];
  let standardBegin = 0;
  let urlBegin = 0;
  let hasUrlSafe = false;
  for (let at = 0; at <= text.length; at++) {
    const code = at < text.length ? text.charCodeAt(at) : 0;
    const kind = code < 128 ? KINDS[code]! : 0;
    if (kind === LETTER) continue;
    if (kind !== STANDARD) {
      if (at - standardBegin >= minLength) runs.push({ begin: standardBegin, end: at });
      standardBegin = at + 1;
    }
    if (kind === URL_SAFE) {
      hasUrlSafe = true;
    } else {
      if (hasUrlSafe && at - urlBegin >= minLength) runs.push({ begin: urlBegin, end: at });
      urlBegin = at + 1;
      hasUrlSafe = false;
    }
  }
  return runs;
}
