/**
 * The exact format of an API key's token:
 *
 *     token    = prefix "_" random checksum              ; ASCII, at most 64 characters
 *     prefix   = [a-z] *30[a-z0-9_]                      ; for example sk_live, pk_test, cagi
 *     random   = 26[0-9A-Za-z]                           ; uniformly random, 155 bits
 *     checksum = 6[0-9A-Za-z]
 *
 * As a regular expression: `\b[a-z][a-z0-9_]{0,30}_[0-9A-Za-z]{32}\b`. A prefix may contain underscores, `random` and
 * `checksum` never do, so a token is parsed from its end: the last 32 characters, an underscore, the prefix.
 *
 * The checksum is the CRC-32 of zlib, gzip and PNG (reflected polynomial 0xEDB88320, initial value and final XOR
 * 0xFFFFFFFF) of everything before it, including prefix and underscore. It is written as a number in base 62: digits
 * `0-9A-Za-z` in this order, most significant first, padded with `0` to 6 characters. It is neither a secret nor a
 * signature: it lets a scanner distinguish a token from a lookalike offline, and detects every mistyped character and
 * every swap of two neighbours.
 */
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** Number of random characters of a secret that lists show. */
export const DISPLAY_LENGTH = 6;
const RANDOM_LENGTH = 26;
const CHECKSUM_LENGTH = 6;
const HANDLE_LENGTH = 10;
const MAX_LENGTH = 64;
const SECRET_LENGTH = RANDOM_LENGTH + CHECKSUM_LENGTH;
const LONGEST_PREFIX = 31;
const PREFIX = /^[a-z][a-z0-9_]{0,30}$/;
const TOKEN = /^([a-z][a-z0-9_]{0,30})_([0-9A-Za-z]{26})([0-9A-Za-z]{6})$/;

export interface ParsedToken {
  readonly token: string;
  /** The prefix that the deployment, the organization or the dialect chose, without the underscore after it. */
  readonly prefix: string;
  /** The first 10 random characters. They identify the key and reveal nothing of the other 16, the actual secret. */
  readonly handle: string;
  /** The part of the token that may be shown after its creation: `sk_live_4fQ9aZ`. */
  readonly display: string;
}

/**
 * Makes a new token, such as `sk_test_` and 32 characters for the prefix `sk_test`.
 *
 * @throws RangeError if the prefix does not follow the grammar.
 */
export function generateToken(prefix: string): string {
  if (!PREFIX.test(prefix)) {
    throw new RangeError(`"${prefix}" is no token prefix: 1 to 31 of a-z, 0-9 and _, beginning with a letter`);
  }
  const body = `${prefix}_${randomCharacters(RANDOM_LENGTH)}`;
  return body + checksum(body);
}

/** Parses a token. Null if the text is not a token, or if its checksum is wrong, so that it was never one of ours. */
export function parseToken(text: string): ParsedToken | null {
  if (text.length > MAX_LENGTH) return null;
  const match = TOKEN.exec(text);
  if (!match) return null;
  const [, prefix, random, sum] = match as unknown as [string, string, string, string];
  if (checksum(text.slice(0, -CHECKSUM_LENGTH)) !== sum) return null;
  return {
    token: text,
    prefix,
    handle: random.slice(0, HANDLE_LENGTH),
    display: `${prefix}_${random.slice(0, DISPLAY_LENGTH)}`,
  };
}

export interface FoundToken {
  readonly prefix: string;
  /** The index in the text at which `random` begins. */
  readonly randomAt: number;
}

const NO_TOKENS: readonly FoundToken[] = [];

/**
 * Finds every token in a text, whatever letters and digits surround it. A CRC can also be computed backwards, so the
 * checksum shows where the prefix begins. Takes a bounded number of steps for each character.
 */
export function tokensIn(text: string): readonly FoundToken[] {
  let found: FoundToken[] | undefined;
  for (let underscore = text.indexOf('_'), end; underscore !== -1; underscore = text.indexOf('_', end)) {
    end = underscore + 1;
    while (end <= underscore + SECRET_LENGTH && isAlphanumeric(text.charCodeAt(end))) end += 1;
    if (end <= underscore + SECRET_LENGTH) continue;
    const begin = beginOfPrefix(text, underscore);
    if (begin !== undefined) (found ??= []).push({ prefix: text.slice(begin, underscore), randomAt: underscore + 1 });
  }
  return found ?? NO_TOKENS;
}

/** Undefined if no prefix fits the checksum. */
function beginOfPrefix(text: string, underscore: number): number | undefined {
  const sumAt = underscore + 1 + RANDOM_LENGTH;
  let crc = numberOf(text.slice(sumAt, sumAt + CHECKSUM_LENGTH)) ^ CRC_BEGIN;
  for (let at = sumAt - 1; at >= underscore; at--) crc = crcBefore(crc, text.charCodeAt(at));
  for (let at = underscore - 1; at >= Math.max(0, underscore - LONGEST_PREFIX); at--) {
    const code = text.charCodeAt(at);
    if (code !== UNDERSCORE && !isDigit(code) && !isLowerCase(code)) return undefined;
    crc = crcBefore(crc, code);
    if (crc === CRC_BEGIN && isLowerCase(code)) return at;
  }
  return undefined;
}

const UNDERSCORE = 0x5f;

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

function isLowerCase(code: number): boolean {
  return code >= 0x61 && code <= 0x7a;
}

function isAlphanumeric(code: number): boolean {
  return isDigit(code) || isLowerCase(code | 0x20);
}

/** A credential as a caller presents it: a secret, a public key, or both with a colon between them. */
export interface Credential {
  readonly secret?: Pick<ParsedToken, 'token' | 'handle'>;
  readonly publicKey?: ParsedToken;
}

/**
 * Null if a part has a wrong form or checksum, or if the two parts are not a public key and a secret, in this order.
 */
export function parseCredential(text: string): Credential | null {
  const colon = text.indexOf(':');
  if (colon === -1) {
    const token = parseToken(text);
    return token && (isPublic(token) ? { publicKey: token } : { secret: token });
  }
  const publicKey = parseToken(text.slice(0, colon));
  const secret = parseToken(text.slice(colon + 1));
  return publicKey && secret && isPublic(publicKey) && !isPublic(secret) ? { publicKey, secret } : null;
}

/** Prefixes of public keys are reserved: `pk`, and all that begin with `pk_`. */
export function isPublic({ prefix }: Pick<ParsedToken, 'prefix'>): boolean {
  return prefix === 'pk' || prefix.startsWith('pk_');
}

function randomCharacters(count: number): string {
  // Bytes from 248 on would favour the first characters of the alphabet, so draw again.
  const limit = 256 - (256 % ALPHABET.length);
  const bytes = new Uint8Array(count);
  let characters = '';
  while (characters.length < count) {
    for (const byte of crypto.getRandomValues(bytes)) {
      if (byte < limit && characters.length < count) characters += ALPHABET[byte % ALPHABET.length];
    }
  }
  return characters;
}

function checksum(text: string): string {
  let rest = crc32(text);
  let digits = '';
  while (digits.length < CHECKSUM_LENGTH) {
    digits = ALPHABET.charAt(rest % ALPHABET.length) + digits;
    rest = Math.floor(rest / ALPHABET.length);
  }
  return digits;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

function crc32(ascii: string): number {
  let crc = 0xffffffff;
  for (let i = 0; i < ascii.length; i++) {
    crc = (crc >>> 8) ^ (CRC_TABLE[(crc ^ ascii.charCodeAt(i)) & 0xff] as number);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/** The index in the table, by the highest byte of the entry: it is different in each entry. */
const INDEX_BY_TOP = new Uint8Array(256);
for (const [index, entry] of CRC_TABLE.entries()) INDEX_BY_TOP[entry >>> 24] = index;

/** All bits set, as a signed 32-bit number for bitwise operators. */
const CRC_BEGIN = -1;

/** The state of the CRC before this byte. */
function crcBefore(crc: number, byte: number): number {
  const index = INDEX_BY_TOP[crc >>> 24] as number;
  return ((crc ^ (CRC_TABLE[index] as number)) << 8) | (index ^ byte);
}

function numberOf(digits: string): number {
  let number = 0;
  for (const digit of digits) number = number * ALPHABET.length + ALPHABET.indexOf(digit);
  return number;
}
