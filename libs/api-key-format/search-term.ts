import { DISPLAY_LENGTH, isPublic, tokensIn } from './token.js';

/** Longer than any two tokens with the text around them. A pasted text may be longer. */
const LONGEST_PASTE = 10_000;
/** A secret, a public key or both have at most 129 characters. */
export const LONGEST_SEARCH = 200;

/** The query parameters with a text that a user types or pastes. */
export const SEARCHED_TEXTS: readonly string[] = ['search', 'not_search', 'user_agent', 'not_user_agent'];

/** The suffix of a TypeID, which Keyledger and many other systems use, or a number. */
const HARMLESS = /^(?:[0-7][0-9a-hjkmnp-tv-z]{25}|\d+)$/;

/**
 * The search term for a typed or pasted text. No more of a secret leaves the page or the process than lists show. A
 * complete secret becomes its prefix and 6 characters, wherever it is in the text; if it comes with a public key, it
 * becomes the public key. A possible part of a secret is cut after 6 characters, so that a search for a name that only
 * looks like one still finds it. Every other text is unchanged.
 */
export function searchTermOf(text: string): string {
  // Lists show an ellipsis after the beginning of a secret, and people copy it too.
  const given = text
    .slice(0, LONGEST_PASTE)
    .trim()
    .replace(/(?:…|\.\.\.)$/, '');
  return (wholeToken(given) ?? partOfToken(given) ?? withoutLongWord(given)).slice(0, LONGEST_SEARCH).trim();
}

/** The random characters of a secret that lists show, if the text is a secret as lists show it. */
export function displayedCharactersOf(term: string): string | null {
  return /^[a-z][a-z0-9_]{0,30}_([0-9A-Za-z]{6})$/.exec(term)?.[1] ?? null;
}

/** Whether the text contains a complete secret, which must not be in a URL. */
export function holdsSecret(text: string): boolean {
  return tokensIn(text).some((token) => !isPublic(token));
}

/** Finds a token even if a terminal or a mail has inserted other characters. */
function wholeToken(text: string): string | undefined {
  const word = text.replace(/\W+/g, '');
  const tokens = tokensIn(word);
  const token = tokens.find(isPublic) ?? tokens[0];
  if (!token) return undefined;
  const random = word.slice(token.randomAt, token.randomAt + (isPublic(token) ? 32 : DISPLAY_LENGTH));
  return `${token.prefix}_${random}`;
}

/**
 * Finds a possible part of a token: the characters of a prefix, an underscore, and more random characters than lists
 * show. A lower-case word before an underscore belongs to a prefix or a name.
 */
function partOfToken(text: string): string | undefined {
  // The lookbehind for the prefix comes last, so that it runs only if the lookaheads match.
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
