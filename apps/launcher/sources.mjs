import { resolve } from 'node:path';

/** The file of a module of ours by the name with which others import it, or null for other names. */
export function sourceOf(id) {
  return id.startsWith('#libs/') ? resolve(id.slice(1).replace(/\.js$/, '.ts')) : null;
}

/** Sources import each other by the names of what they are compiled to. */
export const extensionAlias = { '.js': ['.ts', '.js'] };
