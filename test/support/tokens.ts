import { crc32 } from 'node:zlib';

/** Returns another token with the same handle: its last random characters are swapped, and its checksum is valid. */
export function withOtherSecret(key: string): string {
  const body = key.slice(0, -6);
  const changed = `${body.slice(0, -2)}${body.at(-1)}${body.at(-2) === body.at(-1) ? 'x' : body.at(-2)}`;
  return withChecksum(changed);
}

function withChecksum(body: string): string {
  const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  let rest = crc32(body);
  let digits = '';
  while (digits.length < 6) {
    digits = alphabet.charAt(rest % 62) + digits;
    rest = Math.floor(rest / 62);
  }
  return body + digits;
}
