import { resolve } from 'node:path';

/** A plugin of the bundler that finds the sources of this project. */
export const fromSources = {
  name: 'from-sources',
  resolveId: (id) => (id.startsWith('#libs/') ? resolve(id.slice(1).replace(/\.js$/, '.ts')) : null),
};

/** Sources import each other by the names of what they are compiled to. */
export const extensionAlias = { '.js': ['.ts', '.js'] };
