// Builds the packages for those who call Keyledger to `dist/packages`: each as ES modules, as CommonJS, and with types.
// All that they import is bundled, except the packages in their manifests.
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';
import { rolldown } from 'rolldown';
import ts from 'typescript';
import { buildPythonPackage } from './python-package.mjs';
import { referenceOf } from './reference.mjs';
import { extensionAlias, sourceOf } from './sources.mjs';

const { version, license, engines, dependencies } = JSON.parse(readFileSync('package.json', 'utf8'));

/** The types of the client are made of those of zod. */
const ON_ZOD = { zod: `^${dependencies.zod}` };
const NEST = '^10.0.0 || ^11.0.0 || ^12.0.0';

/** The modules of each package, by the names under which it exports them, and the packages that it needs. */
const PACKAGES = {
  client: {
    description: 'The typed client of Keyledger, which issues, verifies, meters and audits API keys',
    exports: { index: 'keyledger.ts' },
    dependencies: ON_ZOD,
  },
  verify: {
    description: 'Lets a request to your API pass if Keyledger accepts its API key',
    exports: { index: 'verifier.ts', express: 'express.ts', fastify: 'fastify.ts', web: 'web.ts' },
    dependencies: ON_ZOD,
  },
  nest: {
    description: 'Guards of NestJS that let a request pass if Keyledger accepts its API key',
    exports: { index: 'keyledger.module.ts' },
    dependencies: { '@keyledger/verify': `^${version}` },
    peerDependencies: { '@nestjs/common': NEST, '@nestjs/core': NEST },
  },
};

/** Where the compiler writes the types of all packages. */
const TYPES = join('dist', 'package-types');

declareTypes(Object.entries(PACKAGES).flatMap(([name, needs]) => sourcesOf(name, needs)));
for (const [name, needs] of Object.entries(PACKAGES)) {
  const { exports } = needs;
  const source = join('libs', name);
  const folder = join('dist', 'packages', name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const input = Object.fromEntries(Object.entries(exports).map(([path, file]) => [path, join(source, file)]));
  await bundle(input, needs, folder, 'es', 'js');
  await bundle(input, needs, folder, 'cjs', 'cjs');
  copyTypes(sourcesOf(name, needs), publishedIn(needs), join(folder, 'types'));
  const manifest = manifestOf(name, needs);
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  const reference = referenceOf(typesOf(folder, manifest));
  writeFileSync(join(folder, 'REFERENCE.md'), `# Reference of ${manifest.name} ${version}\n\n${reference}`);
  copyFileSync(join(source, 'README.md'), join(folder, 'README.md'));
  copyFileSync('LICENSE', join(folder, 'LICENSE'));
}

if (!(await buildPythonPackage(join('dist', 'packages', 'python'), version))) {
  console.error('Left out the Python package: it needs python3 with setuptools and wheel on the PATH.');
}

function sourcesOf(name, { exports }) {
  return Object.values(exports).map((file) => join('libs', name, file));
}

async function bundle(input, needs, folder, format, extension) {
  const published = publishedIn(needs);
  const bundle = await rolldown({
    input,
    platform: 'browser',
    external: [...Object.keys({ ...needs.dependencies, ...needs.peerDependencies }), ...Object.values(published)],
    plugins: [
      {
        name: 'from-sources-and-packages',
        resolveId(id) {
          if (id in published) return { id: published[id], external: true };
          return sourceOf(id);
        },
      },
    ],
    resolve: { extensionAlias },
  });
  const chunkFileNames = `shared/[name].${extension}`;
  await bundle.write({ dir: folder, format, entryFileNames: `[name].${extension}`, chunkFileNames });
  await bundle.close();
}

/** Modules of other packages of ours that a package imports from there: the public names by those in the sources. */
function publishedIn({ dependencies }) {
  const others = Object.entries(PACKAGES).filter(([other]) => `@keyledger/${other}` in dependencies);
  return Object.fromEntries(
    others.flatMap(([other, { exports }]) =>
      Object.entries(exports).map(([path, file]) => [
        `#libs/${other}/${file.replace(/\.ts$/, '.js')}`,
        path === 'index' ? `@keyledger/${other}` : `@keyledger/${other}/${path}`,
      ]),
    ),
  );
}

function declareTypes(files) {
  rmSync(TYPES, { recursive: true, force: true });
  mkdirSync(TYPES, { recursive: true });
  const up = relative(TYPES, '.');
  const options = { noEmit: false, declaration: true, emitDeclarationOnly: true, declarationDir: '.', rootDir: up };
  const settings = { extends: join(up, 'tsconfig.json'), files: files.map((file) => join(up, file)), include: [] };
  const project = join(TYPES, 'tsconfig.json');
  writeFileSync(project, JSON.stringify({ ...settings, compilerOptions: options }));
  execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', project], { stdio: 'inherit' });
}

/**
 * Copies the types of a package twice, because TypeScript needs types of their own for ES modules and for CommonJS. Each copy
 * is in a folder with a `package.json` that says so, and that says what their `#libs` are.
 */
function copyTypes(sources, published, folder) {
  const files = reachable(
    sources.map((file) => file.replace(/\.ts$/, '.d.ts')),
    published,
  );
  for (const [copy, type] of Object.entries({ esm: 'module', cjs: 'commonjs' })) {
    for (const file of files) cpSync(join(TYPES, file), join(folder, copy, file));
    const manifest = { type, imports: { ...published, '#libs/*': './libs/*' } };
    writeFileSync(join(folder, copy, 'package.json'), JSON.stringify(manifest));
  }
}

/** The files that these import, and those that they import in turn, except what other packages publish. */
function reachable(files, published, found = new Set()) {
  for (const file of files.filter((file) => !found.has(file))) {
    found.add(file);
    const { importedFiles } = ts.preProcessFile(readFileSync(join(TYPES, file), 'utf8'));
    const imported = importedFiles
      .map(({ fileName }) => fileName)
      .filter((id) => /^(#libs|\.)/.test(id) && !(id in published))
      .map((id) => (id.startsWith('#') ? id.slice(1) : join(dirname(file), id)).replace(/\.js$/, '.d.ts'));
    reachable(imported, published, found);
  }
  return found;
}

/** The files with the types of a package, by the names under which programs import them. */
function typesOf(folder, { name, exports }) {
  const files = Object.entries(exports).map(([path, conditions]) => [
    posix.join(name, path),
    join(folder, conditions.import.types),
  ]);
  return Object.fromEntries(files);
}

function manifestOf(name, { description, exports, dependencies, peerDependencies }) {
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
    dependencies,
    peerDependencies,
  };
}
