import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip, type BrotliOptions } from 'node:zlib';
import scalar from '@scalar/fastify-api-reference';
import fastify from 'fastify';
import type { Plugin } from 'vite';
import { guideNames, readGuide, type Guide } from './docs/guide.ts';
import { pageOf, type Assets } from './docs/page.ts';

/** The best quality takes ten seconds for the program of the reference. */
const QUICKLY = { params: { [constants.BROTLI_PARAM_QUALITY]: 6 } };

/**
 * Renders the guides of `docs` into pages, with an index for their search, and adds the program of the API reference.
 * The API serves them at `/docs` and puts the address of the deployment into them.
 */
export function guides(root: string): Plugin {
  const entry = 'docs/docs.ts';
  return {
    name: 'guides',
    apply: 'build',
    async writeBundle({ dir }, bundle) {
      const chunk = Object.values(bundle).find((one) => one.type === 'chunk' && one.facadeModuleId?.endsWith(entry));
      if (chunk?.type !== 'chunk') throw new Error(`The build has no chunk for ${entry}`);
      const style = Object.keys(bundle).find((name) => /^assets\/docs-.*\.css$/.test(name));
      const assets: Assets = { script: `/${chunk.fileName}`, style: `/${style}` };
      const all = await readGuides(join(root, 'docs'));
      const folder = join(dir!, 'docs');
      await Promise.all(all.map((guide) => write(folder, `${guide.path || 'index'}.html`, pageOf(guide, all, assets))));
      await writeCompressed(folder, 'files/search.json', JSON.stringify(all.flatMap(({ sections }) => sections)));
      await writeCompressed(folder, 'files/reference.js', await referenceProgram());
    },
  };
}

async function readGuides(docs: string): Promise<Guide[]> {
  const apiGuides = (await readdir(join(docs, 'api'))).map((name) => `api/${name}`);
  return Promise.all(
    guideNames(apiGuides).map(async (name) => readGuide(name, await readFile(join(docs, name), 'utf8'))),
  );
}

/** The package has the program within its code, and serves it. */
async function referenceProgram(): Promise<string> {
  const server = fastify();
  await server.register(scalar, { routePrefix: '/reference', configuration: { content: '{}' } });
  const { statusCode, body } = await server.inject('/reference/js/scalar.js');
  await server.close();
  if (statusCode !== 200) throw new Error('The package of the API reference serves no program');
  return body;
}

async function write(folder: string, name: string, content: string | Buffer): Promise<void> {
  await mkdir(dirname(join(folder, name)), { recursive: true });
  await writeFile(join(folder, name), content);
}

async function writeCompressed(folder: string, name: string, content: string): Promise<void> {
  await write(folder, name, content);
  await writeEncodings(join(folder, name), content, QUICKLY);
}

/** Writes the compressed forms of a file beside it, which the API sends to those who accept them. */
export async function writeEncodings(
  file: string,
  content: string | Buffer,
  options: BrotliOptions = {},
): Promise<void> {
  await writeFile(`${file}.br`, await promisify(brotliCompress)(content, options));
  await writeFile(`${file}.gz`, await promisify(gzip)(content));
}
