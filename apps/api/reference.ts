import { existsSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';
import { Config } from '#libs/platform/config.js';
import { contentSecurityPolicy } from './content-security-policy.js';

/** The address of the API in the documents. */
const DOCUMENTED = new URL('http://127.0.0.1:3000');

const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>Keyledger API</title>
    <link rel="icon" href="data:," />
  </head>
  <body>
    <div id="reference"></div>
    <script src="/docs/files/reference.js"></script>
    <script src="/docs/api/start.js"></script>
  </body>
</html>
`;

/** Scalar would otherwise load fonts, ask an agent and send requests through a proxy, all of its own company. */
const START = `Scalar.createApiReference('#reference', {
  url: '/openapi.json',
  withDefaultFonts: false,
  telemetry: false,
  proxyUrl: '',
  agent: { disabled: true },
  mcp: { disabled: true },
  hideClientButton: true,
  showDeveloperTools: 'never',
  persistAuth: false,
  operationTitleSource: 'summary',
});
`;

const NOT_BUILT = `<!doctype html><html lang="en"><title>Keyledger API</title>
<p>The guides are missing: build them with npm run build. The <a href="/openapi.json">OpenAPI document</a> is here.</p>
`;

/** Scalar sets styles on its elements. The guides have theirs in a file. */
const headersWith = (styles: string) => ({
  'content-security-policy': contentSecurityPolicy(styles),
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
});

/**
 * Serves the OpenAPI document on `/openapi.json`, and the guides and the reference of the API on `/docs`.
 * @param folder where the build puts the guides
 * @param makeDocument makes the text of the document, at its first request
 */
export async function serveReference(
  app: NestFastifyApplication,
  folder: string,
  makeDocument: () => Promise<string>,
): Promise<void> {
  const server: FastifyInstance = app.getHttpAdapter().getInstance();
  let document: Promise<string> | undefined;
  server.get('/openapi.json', async (_request, reply) =>
    reply.type('application/json; charset=utf-8').send(await (document ??= makeDocument())),
  );
  servePage(server, '/docs/api', async () => PAGE, `'unsafe-inline'`);
  server.get('/docs/api/start.js', (_request, reply) =>
    reply.type('text/javascript; charset=utf-8').headers(headersWith('')).send(START),
  );
  const names = guidesIn(folder);
  const { publicUrl } = app.get(Config);
  const serveGuide = (path: string, name: string) =>
    servePage(server, path, async () => filled(await readFile(join(folder, `${name}.html`), 'utf8'), publicUrl));
  for (const name of names) if (name !== INDEX) serveGuide(`/docs/${name}`, name);
  for (const path of ['/docs', '/docs/']) {
    if (names.includes(INDEX)) serveGuide(path, INDEX);
    else servePage(server, path, async () => NOT_BUILT);
  }
  if (names.length > 0) await serveFiles(server, join(folder, 'files'));
}

/** @param make makes the page, at its first request */
function servePage(server: FastifyInstance, path: string, make: () => Promise<string>, styles = ''): void {
  let html: Promise<string> | undefined;
  server.get(path, async (_request, reply) =>
    reply
      .type('text/html; charset=utf-8')
      .headers(headersWith(styles))
      .send(await (html ??= make())),
  );
}

const INDEX = 'index';

/** The names of the guides: their paths without the extension. */
function guidesIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return names.filter((name) => name.endsWith('.html')).map((name) => name.slice(0, -'.html'.length));
}

/** The commands of a guide name this deployment. */
function filled(html: string, publicUrl: string): string {
  const { protocol, origin, host } = new URL(publicUrl);
  const text = html.replaceAll(DOCUMENTED.origin, () => origin);
  // A gateway reaches a deployment behind TLS by an inner address, which only its reader knows.
  return protocol === 'http:' ? text.replaceAll(DOCUMENTED.host, () => host) : text;
}

async function serveFiles(server: FastifyInstance, root: string): Promise<void> {
  await server.register(fastifyStatic, {
    root,
    prefix: '/docs/files/',
    decorateReply: false,
    index: false,
    preCompressed: true,
    setHeaders: (reply) => void reply.header('x-content-type-options', 'nosniff'),
  });
}
