import { DISPLAY_LENGTH, isPublic, tokensIn } from '#libs/api-key-format/token.js';
import { base64In, mayHaveBase64 } from './base64-runs.js';

/** The length of a key after its prefix. No secret is shorter. */
const SHORTEST = 32;
/** Refresh tokens and one-time tokens: a name, and 256 random bits in base64url. */
const ONE_TIME = /(?<=(?:rt|invite|reset)_)[\w-]{43}/y;
const ONE_TIME_LENGTH = 43;
/** An escape whose decoded character may be part of a secret or of another escape. */
const HIDING = /%(?:2[5de]|3\d|[46][1-9a-f]|[57][\da]|5f)/i;
/** Number of decoding rounds. One more round then decodes until no escape is left. */
const ROUNDS = 3;
/** How many times base64 is decoded: Basic credentials with a key, and these in base64 once more. */
const BASE64_ROUNDS = 2;
/** The shortest secret with its prefix. */
const SHORTEST_ENCODED = SHORTEST + 2;
/**
 * The longest key with every character percent-encoded three times, each time including the escapes of the time before,
 * or the same in base64.
 */
const LOOK_AHEAD = 64 * 27 * 2;

/** A range to replace, as positions in the original text. */
type Range = readonly [begin: number, end: number];

/**
 * Removes the secrets from caller input, wherever they are: a key in a path, a token in a User-Agent, percent-encoded
 * fully or partly, in base64 or base64url as in Basic credentials, with letters before and after. Keys are recognized
 * by their checksum, so nothing else is mistaken for one. Takes time in proportion to `max`: the text is cut before the
 * search, far enough after `max` that no part of a secret survives the cut.
 */
export function withoutSecrets(text: string, max = Infinity): string {
  const searched = text.length > max + LOOK_AHEAD ? text.slice(0, max + LOOK_AHEAD) : text;
  const ranges = searched.length < SHORTEST ? [] : secretsIn(searched);
  let shown = '';
  let at = 0;
  for (const [begin, end] of ranges) {
    if (begin >= max) break;
    if (begin >= at) shown += `${searched.slice(at, begin)}…`;
    at = Math.max(at, end);
  }
  return shown + searched.slice(at, Math.max(at, Math.min(max, searched.length)));
}

/**
 * Searches the text as it is and after each round of decoding, because decoding may change the text around a secret
 * too. Within base64, one round decodes every escape: otherwise the rounds would multiply with those around them.
 */
function secretsIn(text: string, outer?: SecretsInBase64): readonly Range[] {
  const ranges: Range[] = [];
  let inBase64 = outer;
  const search = (searched: string, originOf: (at: number) => number) => {
    const found = (begin: number, end: number) => ranges.push([originOf(begin), originOf(end)]);
    findSecrets(searched, found);
    if (mayHaveBase64(searched, SHORTEST_ENCODED)) (inBase64 ??= new SecretsInBase64()).find(searched, found);
  };
  search(text, (at) => at);
  if (HIDING.test(text)) {
    const decoded = new Decoded(text);
    for (let round = outer ? ROUNDS : 0; round <= ROUNDS && decoded.decode(round === ROUNDS); round++) {
      search(decoded.text, (at) => decoded.originOf(at));
    }
  }
  return ranges.toSorted(([a], [b]) => a - b);
}

/**
 * What a secret has in base64: an underscore, plain or percent-encoded, or the beginning of an access token, at each of
 * the three offsets within a group.
 */
const SIGN_IN_BASE64 = /X[w-z0-9+/_-]|[FVl1][89+/_-]|[BFJNRVZdhlptx159]f|JT|U[1y]|l[MN]|ZXlK|V5S|leU/;
/** The length of the shortest secret that is encoded twice. */
const ENCODED_TWICE = Math.ceil((SHORTEST_ENCODED * 16) / 9);

/** Whether base64 may contain a secret. Most long parts of a path do not. */
function mayBecomeSecret(base64: string): boolean {
  return base64.length >= ENCODED_TWICE || SIGN_IN_BASE64.test(base64);
}

/** Searches the base64 of one text. Most of it stays the same from round to round, so each part is searched once. */
class SecretsInBase64 {
  readonly #known = new Map<string, readonly Range[]>();
  /** Made when it is needed: most texts need none. */
  #inner: SecretsInBase64 | undefined;

  constructor(private readonly rounds = BASE64_ROUNDS) {}

  find(text: string, found: (begin: number, end: number) => void): void {
    if (this.rounds === 0) return;
    const inner = (this.#inner ??= new SecretsInBase64(this.rounds - 1));
    for (const part of base64In(text, SHORTEST_ENCODED, mayBecomeSecret)) {
      const ranges = this.#known.get(part.text) ?? secretsIn(part.text, inner);
      this.#known.set(part.text, ranges);
      for (const [begin, end] of ranges) found(...part.originOf(begin, end));
    }
  }
}

/**
 * Each search starts at characters that are rare in innocent text, and reads each character a bounded number of times.
 */
function findSecrets(text: string, found: (begin: number, end: number) => void): void {
  for (const token of tokensIn(text))
    if (!isPublic(token)) found(token.randomAt + DISPLAY_LENGTH, token.randomAt + SHORTEST);
  for (let begin = text.indexOf('_') + 1; begin !== 0; begin = text.indexOf('_', begin) + 1) {
    ONE_TIME.lastIndex = begin;
    if (ONE_TIME.test(text)) found(begin, begin + ONE_TIME_LENGTH);
  }
  for (let begin = text.indexOf(JWT_BEGIN), end; begin !== -1; begin = text.indexOf(JWT_BEGIN, end)) {
    end = endOfPart(text, begin);
    // A header, followed by two or more parts with dots between them.
    let parts = 1;
    for (let next; text[end] === '.' && (next = endOfPart(text, end + 1)) > end + 1; parts++) end = next;
    if (parts >= 3) found(begin + JWT_BEGIN.length, end);
  }
}

/** The beginning of an object in base64url: `{"`. */
const JWT_BEGIN = 'eyJ';
const JWT_PART = /[\w-]*/y;

function endOfPart(text: string, begin: number): number {
  JWT_PART.lastIndex = begin;
  JWT_PART.test(text);
  return JWT_PART.lastIndex;
}

const PERCENT = 0x25;

/** Decodes the percent-escapes of a text in rounds, and keeps the original position of each character. */
class Decoded {
  /** ASCII codes. Other characters are never part of a secret. */
  readonly #codes: Buffer;
  readonly #origins: Uint32Array;
  #length: number;

  constructor(text: string) {
    this.#length = text.length;
    this.#codes = Buffer.alloc(text.length);
    this.#origins = new Uint32Array(text.length + 1);
    for (let at = 0; at <= text.length; at++) {
      const code = text.charCodeAt(at);
      this.#codes[at] = code < 0x80 ? code : 0;
      this.#origins[at] = at;
    }
  }

  get text(): string {
    return this.#codes.toString('latin1', 0, this.#length);
  }

  originOf(at: number): number {
    return this.#origins[at]!;
  }

  /**
   * Decodes once or, if `wholly`, until no escape is left: then it decodes each escape as soon as it is complete, so
   * one pass is enough.
   * @returns false if there was no escape
   */
  decode(wholly: boolean): boolean {
    let length = 0;
    let found = false;
    // Within one round, a decoded character is not part of another escape.
    let fixed = 0;
    for (let at = 0; at < this.#length; at++) {
      this.#codes[length] = this.#codes[at]!;
      this.#origins[length] = this.#origins[at]!;
      length += 1;
      for (let value; length - fixed >= 3 && (value = this.#escapeAt(length - 3)) !== undefined; found = true) {
        length -= 2;
        this.#codes[length - 1] = value;
        if (!wholly) fixed = length;
      }
    }
    this.#origins[length] = this.#origins[this.#length]!;
    this.#length = length;
    return found;
  }

  #escapeAt(at: number): number | undefined {
    if (this.#codes[at] !== PERCENT) return undefined;
    const value = hexDigit(this.#codes[at + 1]!) * 16 + hexDigit(this.#codes[at + 2]!);
    return value < 0x80 ? value : undefined;
  }
}

/** NaN if the code is not a hex digit. */
function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : NaN;
}

/** Removes all credentials from a log line: those of callers, and those in addresses of our settings. */
export function redact(text: string): string {
  return withoutSecrets(text)
    .split('@')
    .map(withoutPassword)
    .join('@')
    .replace(/\b(bearer|basic)\s+[^\s"',]+/gi, '$1 …')
    .replace(/([?&][^=?&\s"')]+=)[^\s&"')]+/g, '$1…');
}

/** Hides the password in the text before an `@`, if an address with user and password begins after the last blank. */
function withoutPassword(part: string, place: number, parts: readonly string[]): string {
  if (place === parts.length - 1) return part;
  const begin = lastBlank(part) + 1;
  return part.slice(0, begin) + part.slice(begin).replace(/(:\/\/[^:/?#]*):.*$/s, '$1:…');
}

function lastBlank(text: string): number {
  let at = text.length - 1;
  while (at >= 0 && !/\s/.test(text[at]!)) at -= 1;
  return at;
}
