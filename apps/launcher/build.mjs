import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runStep } from './child.mjs';
import { SetupError } from './errors.mjs';

const SOURCES = ['apps', 'libs'];
/** The sources of the services and the dashboard, without tests. The dashboard also shows the documents. */
const IS_SOURCE = /(?<!\.spec)\.(ts|tsx|css|html|svg)$|^docs\/.*\.(md|mjs|py|go|sh)$/;
const SETTINGS = [
  '.swcrc',
  'nest-cli.json',
  'apps/launcher/bundle.mjs',
  'apps/launcher/compile.mjs',
  'package.json',
  'package-lock.json',
];

const marker = (root) => join(root, 'dist', '.built');

/** A build writes the marker last. It holds the hash of all inputs. */
export function isBuilt(root) {
  return existsSync(marker(root)) && readFileSync(marker(root), 'utf8') === hashOfSources(root);
}

export async function build(root, node, lock) {
  console.log('Building.');
  const hash = hashOfSources(root);
  rmSync(marker(root), { force: true });
  await run(root, node, lock, [join('apps', 'launcher', 'compile.mjs')]);
  const vite = join('node_modules', 'vite', 'bin', 'vite.js');
  await run(root, node, lock, [vite, 'build', join('apps', 'dashboard'), '--logLevel', 'warn']);
  for (const folder of SOURCES) removeStale(join(root, 'dist', folder), join(root, folder));
  writeFileSync(marker(root), hash);
}

async function run(root, node, lock, args) {
  const code = await runStep(lock, node, args, { cwd: root, stdio: 'inherit' });
  if (code === null) throw new SetupError('The build was interrupted: start again to finish it.');
  if (code !== 0) throw new SetupError('The build failed: see the errors above.');
}

/** Deletes the output of deleted or renamed sources, which an import would still find. */
function removeStale(output, source) {
  for (const entry of list(output)) {
    const path = join(output, entry.name);
    if (entry.isDirectory()) removeStale(path, join(source, entry.name));
    else if (!existsSync(join(source, entry.name.replace(/\.js(\.map)?$/, '.ts')))) rmSync(path);
  }
}

function hashOfSources(root) {
  const hash = createHash('sha256');
  const add = (path) =>
    hash
      .update(`${path}\0`)
      .update(readFileSync(join(root, path)))
      .update('\0');
  for (const path of SETTINGS) add(path);
  for (const folder of [...SOURCES, 'docs']) for (const path of sourcesIn(root, folder)) add(path);
  return hash.digest('hex');
}

function sourcesIn(root, folder) {
  return list(join(root, folder)).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return sourcesIn(root, path);
    return IS_SOURCE.test(path) ? [path] : [];
  });
}

function list(directory) {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { withFileTypes: true }).toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
