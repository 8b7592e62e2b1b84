// Builds the packages for those who call Keyledger to `dist/packages`: each as ES modules, as CommonJS, and with types.
// All that they import is bundled except zod, of which the types of the client are made.
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { rolldown } from 'rolldown';
import { dts } from 'rolldown-plugin-dts';

const { version, license, engines, dependencies } = JSON.parse(readFileSync('package.json', 'utf8'));

/** The modules of each package, by the names under which it exports them. */
const PACKAGES = {
  client: {
    description: 'The typed client of Keyledger, which issues, verifies, meters and audits API keys',
    exports: { index: 'keyledger.ts' },
  },
  verify: {
    description: 'Lets a request to your API pass if Keyledger accepts its API key',
    exports: { index: 'verifier.ts', express: 'express.ts', fastify: 'fastify.ts', web: 'web.ts' },
  },
};

const EXTERNAL = ['zod'];

const fromSources = {
  name: 'from-sources',
  resolveId: (id) => (id.startsWith('#libs/') ? resolve(id.slice(1).replace(/\.js$/, '.ts')) : null),
};

for (const [name, { description, exports }] of Object.entries(PACKAGES)) {
  const source = join('libs', name);
  const folder = join('dist', 'packages', name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const input = Object.fromEntries(Object.entries(exports).map(([path, file]) => [path, join(source, file)]));
  await bundle(input, [], folder, 'es', 'js');
  await bundle(input, [], folder, 'cjs', 'cjs');
  // Types of their own for both kinds of modules: for `index.cjs`, TypeScript reads `index.d.cts`.
  for (const extension of ['d.ts', 'd.cts']) await bundle(input, [dts({ dtsOnly: true })], folder, 'es', extension);
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifestOf(name, description, exports), null, 2)}\n`);
  copyFileSync(join(source, 'README.md'), join(folder, 'README.md'));
  copyFileSync('LICENSE', join(folder, 'LICENSE'));
}

async function bundle(input, plugins, folder, format, extension) {
  const bundle = await rolldown({
    input,
    platform: 'browser',
    external: EXTERNAL,
    plugins: [fromSources, ...plugins],
    resolve: { extensionAlias: { '.js': ['.ts', '.js'] } },
  });
  const chunkFileNames = `shared/[name].${extension}`;
  await bundle.write({ dir: folder, format, entryFileNames: `[name].${extension}`, chunkFileNames });
  await bundle.close();
}

function manifestOf(name, description, exports) {
  const entries = Object.keys(exports).map((path) => [
    path === 'index' ? '.' : `./${path}`,
    {
      import: { types: `./${path}.d.ts`, default: `./${path}.js` },
      require: { types: `./${path}.d.cts`, default: `./${path}.cjs` },
    },
  ]);
  return {
    name: `@keyledger/${name}`,
    version,
    description,
    license,
    type: 'module',
    engines: { node: engines.node },
    sideEffects: false,
    exports: Object.fromEntries(entries),
    dependencies: Object.fromEntries(EXTERNAL.map((external) => [external, `^${dependencies[external]}`])),
  };
}
