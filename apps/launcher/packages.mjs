// Builds the packages for those who call Keyledger to `dist/packages`: each as ES modules, as CommonJS, and with types.
// All that they import is bundled except zod, of which the types of the client are made.
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { rolldown } from 'rolldown';
import { extensionAlias, fromSources } from './from-sources.mjs';
import { buildPythonPackage } from './python-package.mjs';

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

for (const [name, { description, exports }] of Object.entries(PACKAGES)) {
  const source = join('libs', name);
  const folder = join('dist', 'packages', name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const input = Object.fromEntries(Object.entries(exports).map(([path, file]) => [path, join(source, file)]));
  await bundle(input, folder, 'es', 'js');
  await bundle(input, folder, 'cjs', 'cjs');
  declareTypes(Object.values(input), join(folder, 'types'));
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifestOf(name, description, exports), null, 2)}\n`);
  copyFileSync(join(source, 'README.md'), join(folder, 'README.md'));
  copyFileSync('LICENSE', join(folder, 'LICENSE'));
}

if (!(await buildPythonPackage(join('dist', 'packages', 'python'), version))) {
  console.error('Left out the Python package: it needs python3 with setuptools and wheel on the PATH.');
}

async function bundle(input, folder, format, extension) {
  const bundle = await rolldown({
    input,
    platform: 'browser',
    external: EXTERNAL,
    plugins: [fromSources],
    resolve: { extensionAlias },
  });
  const chunkFileNames = `shared/[name].${extension}`;
  await bundle.write({ dir: folder, format, entryFileNames: `[name].${extension}`, chunkFileNames });
  await bundle.close();
}

/**
 * Writes the types of the sources twice, because TypeScript needs types of their own for ES modules and for CommonJS. Each
 * copy is in a folder with a `package.json` that says so, and that says what their `#libs` are.
 */
function declareTypes(files, folder) {
  mkdirSync(folder, { recursive: true });
  const up = relative(folder, '.');
  const options = { noEmit: false, declaration: true, emitDeclarationOnly: true, declarationDir: 'esm' };
  const settings = { extends: join(up, 'tsconfig.json'), files: files.map((file) => join(up, file)), include: [] };
  const project = join(folder, 'tsconfig.json');
  writeFileSync(project, JSON.stringify({ ...settings, compilerOptions: { ...options, rootDir: up } }));
  execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', project], { stdio: 'inherit' });
  rmSync(project);
  cpSync(join(folder, 'esm'), join(folder, 'cjs'), { recursive: true });
  for (const [copy, type] of Object.entries({ esm: 'module', cjs: 'commonjs' })) {
    writeFileSync(join(folder, copy, 'package.json'), JSON.stringify({ type, imports: { '#libs/*': './libs/*' } }));
  }
}

function manifestOf(name, description, exports) {
  const entries = Object.entries(exports).map(([path, file]) => {
    const types = `libs/${name}/${file.replace(/\.ts$/, '.d.ts')}`;
    return [
      path === 'index' ? '.' : `./${path}`,
      {
        import: { types: `./types/esm/${types}`, default: `./${path}.js` },
        require: { types: `./types/cjs/${types}`, default: `./${path}.cjs` },
      },
    ];
  });
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
