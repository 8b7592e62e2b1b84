import { existsSync } from 'node:fs';
import { join } from 'node:path';

import type { IConfiguration, ICruiseResult } from 'dependency-cruiser';
import { builtModule } from '../support/built-module.js';

const { cruise } = await builtModule<typeof import('dependency-cruiser')>(
  join(import.meta.dirname, '../../node_modules/dependency-cruiser/src/main/index.mjs'),
);

type Rule = NonNullable<IConfiguration['forbidden']>[number];

/**
 * The libraries that each library may import. It may also import what those import: a controller needs the contract.
 */
const libraries: Record<string, readonly string[]> = {
  'api-key-format': [],
  tlog: [],
  contract: ['api-key-format', 'tlog'],
  client: ['contract'],
  verify: ['contract'],
  nest: ['verify'],
  database: ['api-key-format'],
  platform: ['contract', 'database'],
  outbox: ['platform', 'tlog'],
  admission: ['outbox'],
  auth: ['admission'],
  organizations: ['auth'],
  operators: ['auth', 'organizations'],
  usage: ['auth'],
  'api-keys': ['auth', 'organizations', 'usage', 'api-key-format'],
  audit: ['auth', 'organizations', 'tlog'],
  replay: ['audit', 'usage'],
};

/** Libraries that also run in a browser, and the packages that they use there. */
export const browserLibraries = ['api-key-format', 'tlog', 'contract', 'client', 'verify'];
const BROWSER_PACKAGES = [
  '@noble/curves',
  '@noble/hashes',
  'eventsource-parser',
  'ipaddr.js',
  'ky',
  'typeid-js',
  'uuid',
  'zod',
  'zod-openapi',
];

const SPEC = String.raw`\.spec\.ts$`;
/** The launcher runs them after the packages are installed. */
const COMPILER = String.raw`^apps/launcher/(bundle|compile|packages|reference)\.mjs$`;

export const rules: Rule[] = [
  ...Object.keys(libraries).map((library) => ({
    name: `${library}-within-its-layer`,
    from: { path: `^libs/${library}/` },
    to: { path: '^libs/', pathNot: `^libs/(${[library, ...reachable(library)].join('|')})/` },
  })),
  {
    name: 'library-is-in-the-table',
    from: { path: '^(libs|apps)/' },
    to: { path: '^libs/', pathNot: `^libs/(${Object.keys(libraries).join('|')})/` },
  },
  {
    name: 'library-without-app',
    from: { path: '^libs/' },
    to: { path: '^apps/' },
  },
  {
    name: 'apps-apart',
    from: { path: '^apps/([^/]+)/' },
    to: { path: '^apps/', pathNot: '^apps/$1/' },
  },
  {
    name: 'example-as-a-vendor-writes-it',
    from: { path: '^apps/example/' },
    to: { path: '^libs/', pathNot: '^libs/(nest|verify|contract)/' },
  },
  {
    name: 'dashboard-on-browser-libraries',
    from: { path: '^apps/dashboard/' },
    to: { path: '^libs/', pathNot: anyOf(browserLibraries) },
  },
  {
    name: 'dashboard-without-builtin',
    from: { path: '^apps/dashboard/', pathNot: String.raw`/vite\.\w+\.ts$` },
    to: { dependencyTypes: ['core'] },
  },
  {
    name: 'production-without-test',
    from: { path: '^(libs|apps)/', pathNot: SPEC },
    to: { path: ['^test/', SPEC] },
  },
  {
    // The build bundles the packages of the dashboard, so they may be development dependencies.
    name: 'production-without-development-package',
    from: { path: '^(libs|apps)/', pathNot: [SPEC, '^apps/dashboard/', COMPILER] },
    to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
  },
  {
    name: 'browser-library-without-builtin',
    from: { path: anyOf(browserLibraries), pathNot: SPEC },
    to: { dependencyTypes: ['core'] },
  },
  {
    name: 'browser-library-with-browser-packages',
    from: { path: anyOf(browserLibraries), pathNot: SPEC },
    to: { path: 'node_modules/', pathNot: `node_modules/(${BROWSER_PACKAGES.join('|')})/` },
  },
  {
    name: 'launcher-without-dependency',
    from: { path: '^apps/launcher/', pathNot: [SPEC, COMPILER] },
    to: { pathNot: '^apps/launcher/', dependencyTypesNot: ['core'] },
  },
  { name: 'no-cycle', from: {}, to: { circular: true } },
  // The bench's peers have their own packages, which exist only after the bench has run.
  { name: 'everything-resolves', from: { pathNot: '^test/bench/peers/' }, to: { couldNotResolve: true } },
];

/** The import graph of the tree below `root`, checked against the rules. */
export async function cruiseTree(root: string): Promise<ICruiseResult> {
  const { output } = await cruise(
    ['apps', 'libs', 'test'].filter((folder) => existsSync(join(root, folder))),
    {
      baseDir: root,
      doNotFollow: { path: 'node_modules' },
      moduleSystems: ['es6'],
      tsPreCompilationDeps: true,
      validate: true,
      ruleSet: { forbidden: rules.map((rule) => ({ severity: 'error', ...rule })) },
    },
    // The package's own `imports` lead to the compiled files, but the rules are about the sources.
    {
      alias: { '#libs': join(root, 'libs') },
      extensionAlias: { '.js': ['.ts', '.tsx', '.js'] },
      conditionNames: ['import', 'node', 'types', 'default'],
      exportsFields: ['exports'],
    },
  );
  if (typeof output === 'string') throw new Error(output);
  return output;
}

function reachable(library: string): string[] {
  const direct = libraries[library] ?? [];
  return [...new Set([...direct, ...direct.flatMap(reachable)])];
}

function anyOf(names: readonly string[]): string {
  return `^libs/(${names.join('|')})/`;
}
