import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';

const root = join(import.meta.dirname, '../..');

/** Each construction of a cache, up to the bracket that ends it. */
function cachesIn(source: string): string[] {
  return [...source.matchAll(/new LRUCache\b/g)].map(({ index }) => {
    let depth = 0;
    for (let at = source.indexOf('(', index); at < source.length; at++) {
      if (source[at] === '(') depth += 1;
      if (source[at] === ')') depth -= 1;
      if (depth === 0) return source.slice(index, at + 1);
    }
    return source.slice(index);
  });
}

it('every cache is bounded in bytes, because the size of an entry is up to a caller', () => {
  const unbounded: string[] = [];
  let caches = 0;
  for (const file of globSync('{apps,libs}/**/*.{ts,tsx}', { cwd: root })) {
    if (file.includes('.spec.')) continue;
    for (const cache of cachesIn(readFileSync(join(root, file), 'utf8'))) {
      caches += 1;
      if (!cache.includes('maxSize:') || !cache.includes('sizeCalculation:')) unbounded.push(`${file}: ${cache}`);
    }
  }
  expect(unbounded).toEqual([]);
  expect(caches).toBeGreaterThan(5);
});
