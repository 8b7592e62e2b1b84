// Compiles the applications of `nest-cli.json` and their libraries to `dist`, as `.swcrc` says. Types are not checked:
// `npm run typecheck` does. Then bundles the packages that they import.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import swc from '@swc/core';
import { bundlePackages } from './bundle.mjs';

const { projects } = JSON.parse(readFileSync('nest-cli.json', 'utf8'));
const files = [...Object.values(projects).map(({ sourceRoot }) => sourceRoot), 'libs']
  .flatMap((folder) => readdirSync(folder, { recursive: true }).map((name) => join(folder, name)))
  .filter((path) => /(?<!\.spec)\.ts$/.test(path));

const compiled = await Promise.allSettled(files.map(compile));
const failed = compiled.filter(({ status }) => status === 'rejected');
for (const { reason } of failed) console.error(reason.message);
if (failed.length === 0) await bundlePackages(compiled.map(({ value }) => value));
else process.exitCode = 1;

/** @returns the compiled code */
async function compile(file) {
  const output = join('dist', file.replace(/\.ts$/, '.js'));
  const sourceFileName = relative(dirname(output), file);
  const { code, map } = await swc.transformFile(file, { sourceMaps: true, sourceFileName });
  mkdirSync(dirname(output), { recursive: true });
  // In a file of its own, because Node would parse a map within the code at each start, which takes 0.15 s.
  writeFileSync(`${output}.map`, map);
  writeFileSync(output, `${code}//# sourceMappingURL=${basename(output)}.map\n`);
  return code;
}
