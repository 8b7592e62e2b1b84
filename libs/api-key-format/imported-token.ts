import { parseCredential } from './token.js';

/**
 * Printable ASCII without the space and the comma, which have a meaning of their own in headers. A shorter token could be
 * guessed, and a longer one is no credential anywhere.
 */
const IMPORTABLE = /^[!-+\--~]{16,500}$/;

/** Whether a text can be a token of another system. A token of our own format never is, whoever made it. */
export function isImportable(text: string): boolean {
  return IMPORTABLE.test(text) && parseCredential(text) === null;
}
