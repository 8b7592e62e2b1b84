import { DISPLAY_LENGTH, isPublic, tokensIn } from './token.js';

/** No two tokens with what surrounds them are longer; what is pasted may be. */
const LONGEST_PASTE = 10_000;
/** A secret, a public key or both have at most 129 characters. */
export const LONGEST_SEARCH = 200;

/** The suffix of a TypeID, as the ids of Keyledger and of many others have it, or the digits of a number. */
const HARMLESS = /^(?:[0-7][0-9a-hjkmnp-tv-z]{25}|\d+)$/;

/**
 * What to search for when this text was typed or pasted, so that no more of a secret leaves the page or the process than
 * lists show of it. A whole secret becomes its prefix and 6 characters, wherever it is in the text; with a public key
 * beside it, the public key. What may be a part of a secret is cut behind 6 characters, so that a search for a name that
 * only looks like one still finds it. Every other text stays as it is.
 */
export function searchTermOf(text: string): string {
  // Lists show an ellipsis behind the beginning of a secret, which is copied with it.
  const given = text
    .slice(0, LONGEST_PASTE)
    .trim()
    .replace(/(?:…|\.\.\.)$/, '');
  return (wholeToken(given) ?? partOfToken(given) ?? withoutLongWord(given)).slice(0, LONGEST_SEARCH).trim();
}

/** Whether the text holds a whole secret, which must be in no address. */
export function holdsSecret(text: string): boolean {
  return tokensIn(text).some((token) => !isPublic(token));
}

/** A token is found without what a terminal or a mail has put into it. */
function wholeToken(text: string): string | undefined {
  const word = text.replace(/\W+/g, '');
  const tokens = tokensIn(word);
  const token = tokens.find(isPublic) ?? tokens[0];
  if (!token) return undefined;
  const random = word.slice(token.randomAt, token.randomAt + (isPublic(token) ? 32 : DISPLAY_LENGTH));
  return `${token.prefix}_${random}`;
}

/**
 * What may be a part of a token: the characters of a prefix, an underscore, and more random characters than lists show. A
 * word in lowercase before an underscore is of a prefix, or of a name.
 */
function partOfToken(text: string): string | undefined {
  // What is before the underscore is read last, where the rest fits.
  for (const [, before, random] of text.matchAll(
    /_(?![a-z0-9]+_)(?=[0-9A-Za-z]{7})(?<=([a-z0-9_]{0,32}))([0-9A-Za-z]{7,})/g,
  )) {
    const prefix = before!.slice(0, -1);
    if (!isPublic({ prefix }) && !HARMLESS.test(random!)) return `${prefix}_${random!.slice(0, DISPLAY_LENGTH)}`;
  }
  return undefined;
}

/** A long word may be the rest of a token without its prefix, or a token in base64. */
function withoutLongWord(text: string): string {
  for (const { 0: word, index } of text.matchAll(/[0-9A-Za-z]{20,}/g)) {
    if (/[a-z]/.test(word) && /[A-Z]/.test(word) && /\d/.test(word)) return text.slice(0, index + DISPLAY_LENGTH);
  }
  return text;
}
