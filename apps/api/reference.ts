import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import fastifyStatic from '@fastify/static';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';
import { contentSecurityPolicy } from './content-security-policy.js';

const FILES = dirname(fileURLToPath(import.meta.resolve('swagger-ui-dist/swagger-ui.css')));
/** The rest of the package is examples, source maps and other builds. */
const SERVED = ['/swagger-ui.css', '/swagger-ui-bundle.js', '/favicon-32x32.png'];

const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>Keyledger API</title>
    <link rel="icon" href="/docs/favicon-32x32.png" />
    <link rel="stylesheet" href="/docs/swagger-ui.css" />
  </head>
  <body>
    <div id="reference"></div>
    <script src="/docs/swagger-ui-bundle.js"></script>
    <script src="/docs/start.js"></script>
  </body>
</html>
`;

const START = `SwaggerUIBundle({ url: '/openapi.json', dom_id: '#reference', deepLinking: true });\n`;

/** Swagger UI has its icons in `data:` URLs and sets styles on its elements. */
const HEADERS = {
  'content-security-policy': contentSecurityPolicy(`'unsafe-inline'`),
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/**
 * Serves the OpenAPI document on `/openapi.json`, and Swagger UI for it on `/docs`.
 * @param makeDocument makes the text of the document, at its first request
 */
export async function serveReference(app: NestFastifyApplication, makeDocument: () => Promise<string>): Promise<void> {
  const server: FastifyInstance = app.getHttpAdapter().getInstance();
  let document: Promise<string> | undefined;
  server.get('/openapi.json', async (_request, reply) =>
    reply.type('application/json; charset=utf-8').send(await (document ??= makeDocument())),
  );
  for (const path of ['/docs', '/docs/']) {
    server.get(path, (_request, reply) => reply.type('text/html; charset=utf-8').headers(HEADERS).send(PAGE));
  }
  server.get('/docs/start.js', (_request, reply) =>
    reply.type('text/javascript; charset=utf-8').headers(HEADERS).send(START),
  );
  await server.register(fastifyStatic, {
    root: FILES,
    prefix: '/docs/',
    decorateReply: false,
    index: false,
    allowedPath: (path) => SERVED.includes(path),
    setHeaders: (reply) => void reply.header('x-content-type-options', 'nosniff'),
  });
}
