import type { Replacements } from '../document.js';

/** All differences between the printed requests of the document and those that run. */
export interface Real {
  readonly host: string;
  readonly publicKey?: string;
  readonly secretKey?: string;
}

export function replacements({ host, publicKey, secretKey }: Real): Replacements {
  return [
    ['https://agentsgt.com', host],
    ['pk_a1b2c3d4e5f6', publicKey],
    ['sk_z9y8x7w6v5u4', secretKey],
    ['pk_xxx', publicKey],
    ['sk_xxx', secretKey],
  ];
}
