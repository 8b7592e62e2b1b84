import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, it } from '@jest/globals';

const DASHBOARD = join(import.meta.dirname, '../../dist/dashboard');
const BUDGET = 180_000;

type Manifest = Record<string, { file: string; imports?: string[] }>;

/** A file and all files that it needs before it can start. */
function needs(manifest: Manifest, name: string, seen = new Set<string>()): Set<string> {
  if (seen.has(name)) return seen;
  seen.add(name);
  for (const other of manifest[name]!.imports ?? []) needs(manifest, other, seen);
  return seen;
}

it('the dashboard loads a bounded amount of JavaScript before its first page', () => {
  const manifest = JSON.parse(readFileSync(join(DASHBOARD, '.vite/manifest.json'), 'utf8')) as Manifest;
  const files = [...needs(manifest, 'index.html')].map((name) => manifest[name]!.file);
  const sizes = files.map((file) => gzipSync(readFileSync(join(DASHBOARD, file))).length);
  expect(sizes.reduce((sum, size) => sum + size)).toBeLessThanOrEqual(BUDGET);
});
