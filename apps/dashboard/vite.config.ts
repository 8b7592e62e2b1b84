import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';
import { guides, writeEncodings } from './vite.guides.ts';

const root = join(import.meta.dirname, '../..');
const outDir = join(root, 'dist', 'dashboard');

export default defineConfig({
  root: import.meta.dirname,
  plugins: [
    react(),
    withoutJsonSchemas(),
    withoutZodsMessages(),
    withoutDocumentation(),
    precompressed(),
    guides(root),
  ],
  resolve: { alias: [{ find: /^#libs\/(.*)\.js$/, replacement: `${root}/libs/$1.ts` }] },
  // The placeholder that the server replaces with the nonce of each response.
  html: { cspNonce: '__CSP_NONCE__' },
  build: {
    outDir,
    emptyOutDir: true,
    manifest: true,
    rolldownOptions: { input: [join(import.meta.dirname, 'index.html'), join(import.meta.dirname, 'docs/docs.ts')] },
    // The first versions with `light-dark()`: the build's fallback for older ones ignores the user's choice of scheme.
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    // The content security policy allows no `data:` URLs for scripts and fonts. Small files are compressed anyway.
    assetsInlineLimit: 0,
  },
  server: { proxy: { '/api': 'http://127.0.0.1:3000', '/health': 'http://127.0.0.1:3000' } },
});

/** Removes zod's code for JSON Schema, which only the OpenAPI document needs. */
function withoutJsonSchemas(): Plugin {
  return {
    name: 'without-json-schemas',
    apply: 'build',
    async load(id) {
      if (!/\/zod\/v4\/core\/(to-json-schema|json-schema-processors)\.js$/.test(id)) return null;
      const code = await readFile(id, 'utf8');
      const names = [...code.matchAll(/^export (?:const|function) (\w+)/gm)].map(([, name]) => name);
      // Some are called when a schema is made, for the methods that it gets.
      const exported = names.map((name) => `${name.startsWith('create') ? 'method' : 'none'} as ${name}`);
      return `
        const none = () => { throw new Error('The dashboard makes no JSON Schemas'); };
        const method = () => none;
        export { ${exported.join(', ')} };`;
    },
  };
}

/** Removes zod's messages: those of the contract replace all of them. */
function withoutZodsMessages(): Plugin {
  return {
    name: 'without-zods-messages',
    apply: 'build',
    load: (id) =>
      id.endsWith('/zod/v4/locales/en.js') ? "export default () => ({ localeError: () => 'is not valid' });" : null,
  };
}

/** Removes what only the OpenAPI document needs to say of routes and their fields. */
function withoutDocumentation(): Plugin {
  return {
    name: 'without-documentation',
    apply: 'build',
    enforce: 'post',
    transform(code, id) {
      if (!/\/libs\/contract\/[^/]+\.ts$/.test(id)) return null;
      // From the last to the first, so that the places of the others stay.
      const texts = textsIn(this.parse(code)).toSorted((one, other) => other.start - one.start);
      return texts.reduce((rest, { start, end }) => `${rest.slice(0, start)}undefined${rest.slice(end)}`, code);
    },
  };
}

/** What is read of a node of a syntax tree (ESTree). */
interface SyntaxNode {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly name?: string;
  readonly callee?: SyntaxNode;
  readonly property?: SyntaxNode;
  readonly arguments?: readonly SyntaxNode[];
  readonly properties?: readonly SyntaxNode[];
  readonly key?: SyntaxNode;
  readonly value?: SyntaxNode;
}

/** The values of `summary` and `description` in `defineRoute({ … })` and in `.meta({ … })`. */
const DOCUMENTATION = new Set(['summary', 'description', 'examples', 'problems', 'tag']);

function textsIn(part: unknown): SyntaxNode[] {
  if (typeof part !== 'object' || part === null) return [];
  const { callee, arguments: given } = part as SyntaxNode;
  const called = callee?.name ?? callee?.property?.name;
  const properties = called === 'defineRoute' || called === 'meta' ? (given?.[0]?.properties ?? []) : [];
  const texts = properties.filter(({ key }) => DOCUMENTATION.has(key?.name ?? ''));
  return [...texts.flatMap(({ value }) => value ?? []), ...Object.values(part).flatMap(textsIn)];
}

/** The server sends the `.br` or `.gz` file beside an asset, so that it compresses nothing per response. */
function precompressed(): Plugin {
  return {
    name: 'precompressed',
    apply: 'build',
    async writeBundle() {
      const assets = join(outDir, 'assets');
      const names = (await readdir(assets)).filter((name) => /\.(js|css|svg)$/.test(name));
      await Promise.all(
        names.map(async (name) => writeEncodings(join(assets, name), await readFile(join(assets, name)))),
      );
    },
  };
}
