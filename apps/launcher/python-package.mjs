// Builds the Python package `keyledger`: a wheel and a source distribution.
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { rolldown } from 'rolldown';
import { pythonClient } from './python-operations.mjs';
import { extensionAlias, sourceOf } from './sources.mjs';

const SOURCE = join('libs', 'python');
const BUILD = `
import sys
from setuptools import build_meta
folder = sys.argv[1]
build_meta.build_sdist(folder)
build_meta.build_wheel(folder)
`;

/**
 * @param version of this package
 * @returns whether this machine could build it
 */
export async function buildPythonPackage(folder, version) {
  rmSync(folder, { recursive: true, force: true });
  const python = pythonWith('setuptools', 'wheel');
  if (!python) return false;
  const sources = join(folder, 'sources');
  cpSync(SOURCE, sources, { recursive: true });
  copyFileSync('LICENSE', join(sources, 'LICENSE'));
  writeFileSync(join(sources, 'VERSION'), version);
  const { modules, reference } = await readContract();
  for (const [file, text] of Object.entries(modules)) writeFileSync(join(sources, 'keyledger', file), text);
  execFileSync(python, ['-W', 'ignore', '-c', BUILD, resolve(folder)], {
    cwd: sources,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  rmSync(sources, { recursive: true });
  writeFileSync(join(folder, 'REFERENCE.md'), `# Reference of keyledger ${version} for Python\n\n${reference}`);
  return true;
}

/** The first Python on the PATH that can import these modules. */
function pythonWith(...modules) {
  const candidates = process.env.PATH.split(delimiter).map((folder) => join(folder, 'python3'));
  return candidates.find((python) => spawnSync(python, ['-c', `import ${modules.join(', ')}`]).status === 0);
}

/** The modules of Python that say what the contract says, and the reference of the client. */
async function readContract() {
  const { problems, CODED_SCHEMES, RESERVED_HEADERS, RESERVED_PREFIXES, ...contract } = await importContract();
  const { Problem, routes, VerificationCode, z } = contract;
  const codes = [...VerificationCode.exclude(['valid']).options, 'unauthenticated', 'multiple_credentials'];
  const entries = codes.map((code) => `    "${code}": (${problems[code].status}, "${problems[code].title}"),\n`);
  const { types, operations, reference } = pythonClient({ routes, schemas: { Problem }, z });
  const modules = {
    'types.py': types,
    'client/_operations.py': operations,
    '_problems.py': `"""The problems with a key: status and title of each code."""\n\nPROBLEMS = {\n${entries.join('')}}\n`,
    '_reserved.py': `"""The headers and schemes that cannot hold a key."""\n\n${tuples({ CODED_SCHEMES, RESERVED_HEADERS, RESERVED_PREFIXES })}`,
  };
  return { modules, reference };
}

/** A tuple of texts for each of these names. */
function tuples(values) {
  const texts = ([name, items]) => `${name} = (\n${items.map((item) => `    "${item}",\n`).join('')})\n`;
  return Object.entries(values).map(texts).join('\n');
}

async function importContract() {
  const entry = 'contract';
  const source = `
    export { Problem, problems } from '#libs/contract/problem.js';
    export { routes } from '#libs/contract/routes.js';
    export { CODED_SCHEMES, RESERVED_HEADERS, RESERVED_PREFIXES } from '#libs/contract/sent-credential.js';
    export { VerificationCode } from '#libs/contract/verification.js';
    export { z } from 'zod';`;
  const contract = {
    name: 'contract',
    resolveId: (id) => (id === entry ? id : sourceOf(id)),
    load: (id) => (id === entry ? source : null),
  };
  const bundle = await rolldown({ input: entry, plugins: [contract], resolve: { extensionAlias } });
  const { output } = await bundle.generate({ format: 'es' });
  await bundle.close();
  return import(`data:text/javascript,${encodeURIComponent(output[0].code)}`);
}
