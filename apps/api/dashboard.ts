import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import { Logger } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { URI_HEADERS } from '#libs/api-keys/gateway/gateway-request.js';
import { Config } from '#libs/platform/config.js';
import { contentSecurityPolicy } from './content-security-policy.js';

/** Where the build puts the dashboard, relative to the built API. */
export const DASHBOARD = join(import.meta.dirname, '../../dashboard');

/** Paths that belong to the API, whether a route exists or not: a browser gets the same response there as a program. */
const NOT_PAGES = /^\/(api|assets|auth|authz|docs|health|openapi\.json|problems|tlog)(\/|$)/;

/** The addresses of the dashboard. At any other address, it shows that there is no such page. */
const PAGES = /^\/(?:$|(?:sign-in|register|invitation|password-reset|account|org|operator)(?:\/|$))/;

/** What a gateway says of its client's request when it asks about it. */
const OF_A_GATEWAY = [...URI_HEADERS, 'x-authz-scope'];

/** The placeholder that the build puts where the nonce belongs. */
const NONCE = /__CSP_NONCE__/g;

/** Serves the dashboard on `/`: its files, and its page for every address that a browser opens. */
export async function serveDashboard(app: NestFastifyApplication, folder: string): Promise<void> {
  const index = join(folder, 'index.html');
  if (!existsSync(index)) {
    new Logger('Dashboard').warn(
      `The dashboard is missing in ${folder}: build it with npm run build. The API works without it.`,
    );
    return;
  }
  const html = readFileSync(index, 'utf8');
  const home = new URL(app.get(Config).publicUrl);
  const server: FastifyInstance = app.getHttpAdapter().getInstance();
  await server.register(fastifyStatic, {
    root: join(folder, 'assets'),
    prefix: '/assets/',
    decorateReply: false,
    index: false,
    preCompressed: true,
    // The names of these files contain a hash of their content.
    immutable: true,
    maxAge: '1y',
    setHeaders: (reply) => void reply.header('x-content-type-options', 'nosniff'),
  });
  server.get('/*', { config: { hasPageQuery: true } }, (request, reply) => {
    if (!isNavigation(request)) return reply.callNotFound();
    if (isOtherNameOf(home, request.host)) return reply.redirect(home.origin + request.url);
    const nonce = randomBytes(16).toString('base64');
    return reply
      .status(isPage(request) ? 200 : 404)
      .type('text/html; charset=utf-8')
      .headers({
        ...securityHeaders,
        // The component library creates style elements, which need the nonce.
        'content-security-policy': contentSecurityPolicy(`'nonce-${nonce}'`, `font-src 'self'`),
        vary: 'Accept',
      })
      .send(html.replace(NONCE, nonce));
  });
}

/** A session cookie belongs to one host name, but on their own machine people use any of the loopback names. */
function isOtherNameOf(home: URL, host: string): boolean {
  const requested = URL.parse(`${home.protocol}//${host}`);
  return requested?.host !== home.host && requested?.port === home.port && [home, requested].every(isLoopback);
}

function isLoopback({ hostname }: URL): boolean {
  return ['127.0.0.1', '[::1]', 'localhost'].includes(hostname);
}

/**
 * A gateway with a wrong address must not take a page for a yes: its client may be a browser without a key. A browser
 * shows the page whatever the status is.
 */
function isPage({ context, headers }: FastifyRequest): boolean {
  return PAGES.test(context.path ?? '') && !OF_A_GATEWAY.some((name) => headers[name] !== undefined);
}

/** A request with a key is never a navigation. */
function isNavigation(request: FastifyRequest): boolean {
  const { accept: accepted = '', authorization, 'x-api-key': apiKey } = request.headers;
  if (authorization !== undefined || apiKey !== undefined) return false;
  return accepted.includes('text/html') && !NOT_PAGES.test(request.context.path ?? '');
}

const securityHeaders = {
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()',
};
