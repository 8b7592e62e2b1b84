import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

import { beforeAll, describe, expect, it } from '@jest/globals';
import type { ICruiseResult } from 'dependency-cruiser';

import { builtModule } from '../support/built-module.js';
import { browserLibraries, cruiseTree, rules } from './dependency-rules.js';

const { default: ts } = await builtModule<{ default: typeof import('typescript') }>('typescript');

const root = join(import.meta.dirname, '../..');

describe('imports', () => {
  let graph: ICruiseResult;

  beforeAll(async () => {
    graph = await cruiseTree(root);
  });

  it('follow the dependency rules', () => {
    expect(graph.summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} → ${to}`)).toEqual([]);
  });

  it('are all found, including those through #libs', () => {
    const edges = graph.modules.flatMap(({ source, dependencies }) =>
      dependencies.filter(({ module }) => module.startsWith('#libs/')).map(({ resolved }) => `${source} → ${resolved}`),
    );
    expect(edges.length).toBeGreaterThan(20);
    expect(edges.filter((edge) => !/ → libs\/.*\.ts$/.test(edge))).toEqual([]);
  });

  it('cover every library in the table', async () => {
    const folders = await readdir(join(root, 'libs'));
    const known = rules.flatMap(({ name }) => name?.match(/^(.*)-within-its-layer$/)?.[1] ?? []);
    expect(folders.filter((folder) => !known.includes(folder))).toEqual([]);
  });
});

const A = 'export type A = string;';

/** For each rule, one import that breaks it. */
const offences: Record<string, Record<string, string>> = {
  ...Object.fromEntries(
    [
      ['api-key-format', 'tlog'],
      ['tlog', 'contract'],
      ['contract', 'platform'],
      ['client', 'platform'],
      ['verify', 'client'],
      ['nest', 'client'],
      ['database', 'platform'],
      ['platform', 'outbox'],
      ['outbox', 'admission'],
      ['admission', 'auth'],
      ['auth', 'organizations'],
      ['organizations', 'api-keys'],
      ['operators', 'api-keys'],
      ['usage', 'audit'],
      ['api-keys', 'audit'],
      ['audit', 'usage'],
      ['replay', 'api-keys'],
    ].map(([from, to]) => [
      `${from}-within-its-layer`,
      {
        [`libs/${from}/from.ts`]: `import type { A } from '#libs/${to}/to.js'; export type B = A;`,
        [`libs/${to}/to.ts`]: A,
      },
    ]),
  ),
  'library-is-in-the-table': { 'apps/api/a.ts': `import '#libs/new/a.js';`, 'libs/new/a.ts': A },
  'library-without-app': { 'libs/auth/a.ts': `import '../../apps/api/a.js';`, 'apps/api/a.ts': A },
  'apps-apart': { 'apps/api/a.ts': `import '../cli/a.js';`, 'apps/cli/a.ts': A },
  'example-as-a-vendor-writes-it': { 'apps/example/a.ts': `import '#libs/auth/a.js';`, 'libs/auth/a.ts': A },
  'dashboard-on-browser-libraries': {
    'apps/dashboard/a.tsx': `import type { A } from '#libs/auth/a.js'; export type B = A;`,
    'libs/auth/a.ts': A,
  },
  'dashboard-without-builtin': { 'apps/dashboard/a.ts': `import 'node:fs';` },
  'production-without-test': { 'apps/api/a.ts': `import '../../test/support/a.js';`, 'test/support/a.ts': A },
  'production-without-development-package': { 'libs/auth/a.ts': `import 'tool';` },
  'browser-library-without-builtin': { 'libs/contract/a.ts': `import 'node:fs';` },
  'browser-library-with-browser-packages': { 'libs/tlog/a.ts': `import 'server';` },
  'launcher-without-dependency': { 'apps/launcher/a.js': `import 'server';` },
  'no-cycle': { 'libs/auth/a.ts': `import './b.js';`, 'libs/auth/b.ts': `import './a.js';` },
  'everything-resolves': { 'test/a.ts': `import './missing.js';` },
};

/** All offences lie in one tree: the name of each file, also where it is imported, begins with the name of its rule. */
const ownFiles = (rule: string, text: string) => text.replace(/\/(\w+\.[jt]sx?)\b/g, `/${rule}.$1`);

describe('the dependency rules', () => {
  let violations: ICruiseResult['summary']['violations'];

  beforeAll(async () => {
    const tree = await mkdtemp(join(tmpdir(), 'keyledger-architecture-'));
    const files = [
      ['package.json', JSON.stringify({ dependencies: { server: '1' }, devDependencies: { tool: '1' } })],
      ['node_modules/server/package.json', JSON.stringify({ name: 'server', version: '1.0.0', main: 'index.js' })],
      ['node_modules/server/index.js', ''],
      ['node_modules/tool/package.json', JSON.stringify({ name: 'tool', version: '1.0.0', main: 'index.js' })],
      ['node_modules/tool/index.js', ''],
      ...Object.entries(offences).flatMap(([rule, own]) =>
        Object.entries(own).map(([path, text]) => [ownFiles(rule, path), ownFiles(rule, text)] as const),
      ),
    ] as const;
    for (const [path, text] of files) {
      await mkdir(dirname(join(tree, path)), { recursive: true });
      await writeFile(join(tree, path), text);
    }
    ({ violations } = (await cruiseTree(tree)).summary);
    await rm(tree, { recursive: true });
  });

  it.each(rules.map(({ name }) => name ?? ''))('%s can be broken', (name) => {
    const own = violations.filter(({ from }) => basename(from).startsWith(`${name}.`));
    expect(own.map(({ rule }) => rule.name)).toEqual([name]);
  });
});

describe('the browser libraries', () => {
  it('use no global of Node', async () => {
    const files = await Promise.all(
      browserLibraries.map(async (library) => {
        const names = await readdir(join(root, 'libs', library), { recursive: true });
        return names.filter((name) => /(?<!\.spec)\.ts$/.test(name)).map((name) => join(root, 'libs', library, name));
      }),
    );
    const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => ts.sys.readFile(path));
    const { options } = ts.parseJsonConfigFileContent({ ...config, include: [] }, ts.sys, root);
    const program = ts.createProgram(files.flat(), {
      ...options,
      lib: ['lib.es2024.d.ts', 'lib.dom.d.ts'],
      types: [],
      noEmit: true,
      incremental: false,
    });
    const complaints = ts
      .getPreEmitDiagnostics(program)
      .map(({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`);
    expect(files.flat().length).toBeGreaterThan(browserLibraries.length);
    // If a package brought Node's types along, the test would find no offence.
    expect(program.getSourceFiles().filter(({ fileName }) => fileName.includes('/@types/node/'))).toEqual([]);
    expect(complaints).toEqual([]);
  });
});
