// Copies what is built to `dist/packages/server`: the service as a package, with its command line and dashboard. npm has to
// download only what cannot be bundled.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NOT_BUNDLED } from './bundle.mjs';

const FOLDER = join('dist', 'packages', 'server');
const COMMAND = 'apps/launcher/keyledger.mjs';
const LAUNCHER = ['errors', 'keyledger', 'node', 'postgres', 'run'].map((name) => `apps/launcher/${name}.mjs`);
const BUILT = ['apps', 'libs', 'dashboard', 'node_modules'].map((name) => join('dist', name));

const { name, version, description, license, type, engines, imports, dependencies, optionalDependencies } = JSON.parse(
  readFileSync('package.json', 'utf8'),
);

rmSync(FOLDER, { recursive: true, force: true });
mkdirSync(FOLDER, { recursive: true });
for (const path of [...LAUNCHER, ...BUILT, 'README.md', 'LICENSE']) {
  cpSync(path, join(FOLDER, path), { recursive: true, filter: isNeeded });
}
const manifest = {
  name,
  version,
  description,
  license,
  type,
  engines,
  imports,
  bin: { keyledger: COMMAND },
  // Without a list, npm leaves out the bundles in `dist/node_modules`.
  files: [...LAUNCHER, ...BUILT],
  dependencies: Object.fromEntries(NOT_BUNDLED.map((needed) => [needed, dependencies[needed]])),
  optionalDependencies,
};
writeFileSync(join(FOLDER, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);

/** Compressed files only serve browsers that do not know Brotli. They get these files as they are. */
function isNeeded(path) {
  return path !== join('dist', 'apps', 'example') && !/\.map$|^dist\/dashboard\/.*\.gz$/.test(path);
}
