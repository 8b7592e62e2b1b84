import { withoutSecrets } from './redact.js';

/** @returns the beginning of a text that is too long, and no part of a secret that would be known as a whole only */
export function cut(text: string, max: number): string {
  return text.length <= max ? text : `${withoutHalf(withoutSecrets(text, max - 1))}…`;
}

/** Without the half of a surrogate pair at its end, which a cut leaves there and no encoding can write. */
export function withoutHalf(text: string): string {
  return text.replace(/[\ud800-\udbff]$/, '');
}

/**
 * The text of a header, of which Node takes each byte for a character: UTF-8 where the bytes are that, as clients write
 * today, else ISO 8859-1, as they once did. So there is a text for any bytes, and none is replaced.
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

/** A path in a header, whose bytes may be anything: what is no ASCII gets the escape that a URL has for it. */
export function escapeBytes(header: string): string {
  return header.replace(/[\u0080-\u00ff]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`);
}
