import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, gzip } from 'node:zlib';
import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

const root = join(import.meta.dirname, '../..');
const outDir = join(root, 'dist', 'dashboard');

export default defineConfig({
  root: import.meta.dirname,
  plugins: [react(), withoutJsonSchemas(), precompressed()],
  resolve: { alias: [{ find: /^#libs\/(.*)\.js$/, replacement: `${root}/libs/$1.ts` }] },
  // The server puts the nonce of each respond in its place.
  html: { cspNonce: '__CSP_NONCE__' },
  build: {
    outDir,
    emptyOutDir: true,
    manifest: true,
    // The first that know `light-dark()`: what the build makes of it for older ones does not follow a chosen scheme.
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    // The content security policy has no `data:` for scripts and fonts, and what is small is compressed anyway.
    assetsInlineLimit: 0,
  },
  server: { proxy: { '/api': 'http://127.0.0.1:3000', '/health': 'http://127.0.0.1:3000' } },
});

/** zod makes JSON Schemas of its schemas, for which the OpenAPI document has a use, and the dashboard none. */
function withoutJsonSchemas(): Plugin {
  const names = ['process', 'processSchema', 'extractDefs', 'finalize', 'initializeContext', 'handleUnrepresentable'];
  return {
    name: 'without-json-schemas',
    apply: 'build',
    load(id) {
      if (!id.endsWith('/zod/v4/core/to-json-schema.js')) return null;
      return `
        const none = () => { throw new Error('The dashboard makes no JSON Schemas'); };
        const method = () => none;
        export { method as createToJSONSchemaMethod, method as createStandardJSONSchemaMethod };
        export { ${names.map((name) => `none as ${name}`).join(', ')} };`;
    },
  };
}

/** The server hands out what lies beside an asset as `.br` or `.gz`: nothing is compressed for each response. */
function precompressed(): Plugin {
  const encodings = { br: promisify(brotliCompress), gz: promisify(gzip) };
  return {
    name: 'precompressed',
    apply: 'build',
    async writeBundle() {
      const assets = join(outDir, 'assets');
      const names = (await readdir(assets)).filter((name) => /\.(js|css|svg)$/.test(name));
      await Promise.all(
        names.map(async (name) => {
          const content = await readFile(join(assets, name));
          for (const [extension, compress] of Object.entries(encodings))
            await writeFile(join(assets, `${name}.${extension}`), await compress(content));
        }),
      );
    },
  };
}
