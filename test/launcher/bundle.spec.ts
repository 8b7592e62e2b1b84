import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from '@jest/globals';
import { createDatabase } from '../support/deployment.js';
import { startWatched } from '../support/watched-processes.js';

/** Lists how bundles differ from their packages. It runs in another process, because Jest has its own loader. */
const COMPARE = `
  import { readFileSync, globSync } from 'node:fs';
  import { dirname, join } from 'node:path';
  const folder = join(process.cwd(), 'dist/node_modules');
  const told = (value) => [typeof value, typeof value === 'function' && value.name].join(' ');
  let compared = 0;
  for (const file of globSync(['[^._]*/package.json', '@*/*/package.json'], { cwd: folder }))
    for (const [path, target] of Object.entries(JSON.parse(readFileSync(join(folder, file), 'utf8')).exports)) {
      const original = await import(join(dirname(file), path));
      const bundled = await import(join(folder, dirname(file), target));
      for (const name of new Set([...Object.keys(original), ...Object.keys(bundled)])) {
        compared += 1;
        if (name !== 'module.exports' && told(original[name]) !== told(bundled[name])) console.log(file, name);
      }
    }
  console.log(compared > 1000);`;

it('exports what the packages export, with the same names of classes and functions', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', COMPARE]);
  expect(stdout).toBe('true\n');
});

/** Reports each package that a process loads from elsewhere. */
const TELL = `
  import { registerHooks } from 'node:module';
  registerHooks({ load(url, context, next) {
    const name = /(?<!\\/dist)\\/node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(url);
    if (name) process.stderr.write('loads ' + name[1] + '\\n');
    return next(url, context);
  } });`;

it.each(['api', 'worker'] as const)('has all that the %s needs of packages', async (app) => {
  const database = await createDatabase();
  const service = await startWatched(app, {
    DATABASE_URL: app === 'api' ? database.apiUrl : database.workerUrl,
    NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(TELL)}`,
  });
  await service.stop();
  await database.drop();
  const loaded = Array.from(service.output.matchAll(/^loads (.*)$/gm), ([, name]) => name);
  // argon2 has native code and uses the next two. MikroORM needs picomatch, which is found by `createRequire`.
  const known = ['argon2', '@phc/format', 'node-gyp-build', 'picomatch', 'reflect-metadata'];
  expect(loaded).toContain('reflect-metadata');
  expect(loaded.filter((name) => !known.includes(name!))).toEqual([]);
});
