// Bundles the packages that the services import: one file for each, and files for modules that packages share. Node
// finds them in `dist/node_modules` before the 2,000 files in `node_modules`. Without this folder everything works as
// well, but a start takes nearly twice the CPU time.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';

const OUTPUT = join('dist', 'node_modules');
/** The folder of files that several packages need. The name cannot be that of a package. */
const SHARED = '_shared';
/** The file that is written last. It holds the hash of all inputs. */
const MARKER = '.bundled';
/**
 * Packages with native code, and those that must run before their importer: in a bundle, a CommonJS module runs after
 * the ES modules beside it.
 */
export const NOT_BUNDLED = ['argon2', 'reflect-metadata'];

/** @param code the compiled modules of the services */
export async function bundlePackages(code) {
  const entries = importedPackages(code);
  const hash = hashOf(entries);
  if (isBundled(hash)) return;
  const folder = `${OUTPUT}.new`;
  rmSync(folder, { recursive: true, force: true });
  const bundle = await rolldown({
    input: Object.fromEntries(entries.map((entry) => [fileOf(entry), PREFIX + entry])),
    platform: 'node',
    external: NOT_BUNDLED,
    plugins: [{ name: 'entries', resolveId: resolveEntry, load: loadEntry }],
    // Packages may import others that are not installed. Node reports it if such an import ever runs.
    checks: { unresolvedImport: false },
  });
  // Nest and MikroORM use the names of classes, and a stack trace those of functions.
  await bundle.write({
    dir: folder,
    chunkFileNames: `${SHARED}/[name].js`,
    keepNames: true,
    minifyInternalExports: false,
    // Licences stay.
    comments: { legal: true, jsdoc: false, annotation: false },
  });
  await bundle.close();
  for (const name of new Set(entries.map(packageOf))) writeManifest(folder, name, entries);
  writeFileSync(join(folder, SHARED, 'package.json'), '{"type":"module"}');
  writeFileSync(join(folder, MARKER), hash);
  rmSync(OUTPUT, { recursive: true, force: true });
  renameSync(folder, OUTPUT);
}

function importedPackages(code) {
  // SWC writes each import on a line of its own.
  const imports = code.flatMap((text) => [
    ...text.matchAll(/^(?:import|export) (?:[\w$*{}, ]+ from )?['"]([^'"]+)['"];$/gm),
  ]);
  return [...new Set(imports.map(([, name]) => name))]
    .filter((name) => /^[@a-z]/.test(name) && !name.startsWith('node:') && !NOT_BUNDLED.includes(name))
    .toSorted((a, b) => a.localeCompare(b, 'en'));
}

function hashOf(entries) {
  const hash = createHash('sha256').update(entries.join('\n'));
  for (const file of ['package-lock.json', import.meta.filename]) hash.update(readFileSync(file));
  return hash.digest('hex');
}

function isBundled(hash) {
  const marker = join(OUTPUT, MARKER);
  return existsSync(marker) && readFileSync(marker, 'utf8') === hash;
}

const packageOf = (entry) => entry.split('/', entry.startsWith('@') ? 2 : 1).join('/');
const pathOf = (entry) => entry.slice(packageOf(entry).length + 1);
/** The file of an entry, relative to the folder of the bundle and without `.js`. */
const fileOf = (entry) => `${packageOf(entry)}/${pathOf(entry).replace(/\.js$/, '') || 'index'}`;

function writeManifest(folder, name, entries) {
  const own = entries.filter((entry) => packageOf(entry) === name);
  const exports = own.map((entry) => [entry.replace(name, '.'), `./${fileOf(entry).slice(name.length + 1)}.js`]);
  const manifest = { name, type: 'module', exports: Object.fromEntries(exports) };
  writeFileSync(join(folder, name, 'package.json'), JSON.stringify(manifest));
}

const PREFIX = '\0entry:';

/** As an `.mjs` file, so that its imports of CommonJS modules mean the same as in Node. */
function resolveEntry(id) {
  return id.startsWith(PREFIX) ? `${id}.mjs` : undefined;
}

/** Exports each name that Node sees: Rolldown cannot know those of a CommonJS module. */
async function loadEntry(id) {
  if (!id.startsWith(PREFIX)) return undefined;
  const entry = id.slice(PREFIX.length, -'.mjs'.length);
  const names = Object.keys(await import(entry)).filter((name) => name !== 'module.exports');
  return `export { ${names.join(', ')} } from '${entry}';`;
}
