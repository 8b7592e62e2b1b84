/** Finds base64 (RFC 4648, sections 4 and 5) within other text, where nothing marks its beginning and its end. */

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

/** A bit for each alphabet. The letters and digits are in both. */
const [STANDARD, URL_SAFE, LETTER] = [1, 2, 3] as const;
const KINDS = new Uint8Array(128);
for (const character of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789')
  KINDS[character.charCodeAt(0)] = LETTER;
for (const character of '+/') KINDS[character.charCodeAt(0)] = STANDARD;
for (const character of '-_') KINDS[character.charCodeAt(0)] = URL_SAFE;

/**
 * Whether a part of the text is long enough to be base64 of that many bytes. Most texts have no such part, so this
 * looks only at characters at that distance, and at their neighbours.
 */
export function mayHaveBase64(text: string, minBytes: number): boolean {
  const minLength = lengthOf(minBytes);
  for (let at = minLength - 1; at < text.length; at += minLength) {
    if (isInLongPart(text, at, STANDARD, minLength) || isInLongPart(text, at, URL_SAFE, minLength)) return true;
  }
  return false;
}

function isInLongPart(text: string, at: number, alphabet: number, minLength: number): boolean {
  let begin = at;
  while (begin > at - minLength && isOf(alphabet, text, begin)) begin--;
  let end = at + 1;
  while (end - begin <= minLength && isOf(alphabet, text, end)) end++;
  return end - begin > minLength;
}

function isOf(alphabet: number, text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code < 128 && (KINDS[code]! & alphabet) !== 0;
}

const lengthOf = (bytes: number) => Math.ceil((bytes * 4) / 3);

/**
 * Decodes every part that may be base64 and is long enough. Other characters may come before the base64, so each part
 * is decoded from each of its first four characters on. Takes time in proportion to the text.
 * @param minBytes shorter parts are skipped
 * @param isWorthDecoding skips a part without decoding it, which takes longer
 */
export function* base64In(
  text: string,
  minBytes: number,
  isWorthDecoding: (part: string) => boolean,
): Generator<DecodedPart> {
  for (const { begin, end } of runsIn(text, lengthOf(minBytes))) {
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
