import { withoutSecrets } from './redact.js';

/** Cuts a text that is too long. No part of a secret remains, not even if the cut would split the secret. */
export function cut(text: string, max: number): string {
  return text.length <= max ? text : `${withoutHalf(withoutSecrets(text, max - 1))}…`;
}

/** Removes half a surrogate pair at the end, which a cut may leave and no encoding can write. */
export function withoutHalf(text: string): string {
  return text.replace(/[\ud800-\udbff]$/, '');
}

/**
 * Decodes a header, in which Node makes each byte a character: UTF-8 if the bytes are valid UTF-8, as clients write
 * today, otherwise ISO 8859-1, as they once did. So every sequence of bytes has a text, and none is replaced.
 */
export function headerText(header: string): string {
  if (!/[\u0080-\u00ff]/.test(header)) return header;
  try {
    return strictUtf8.decode(Buffer.from(header, 'latin1'));
  } catch {
    return header;
  }
}

/** Throws for bytes that are not UTF-8, and keeps a byte order mark. */
export const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Percent-encodes the bytes of a header's path that are not ASCII. */
export function escapeBytes(header: string): string {
  return header.replace(/[\u0080-\u00ff]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`);
}
