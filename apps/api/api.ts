import { join } from 'node:path';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { dialects } from '#libs/api-keys/dialects/dialects.js';
import { allRoutes } from '#libs/contract/routes.js';
import type { Config } from '#libs/platform/config.js';
import { DirectServer } from '#libs/platform/http/direct-server.js';
import { HTTP_LIMITS, type HttpLimits } from '#libs/platform/http/http-limits.js';
import { Proxies } from '#libs/platform/http/proxies.js';
import { createHttpAdapter } from '#libs/platform/http/server.js';
import { createLogger } from '#libs/platform/logging.js';
import { ApiModule } from './api.module.js';
import { DASHBOARD, serveDashboard } from './dashboard.js';
import { serveReference } from './reference.js';

const VERSION = '0.1.0';

/** Creates the API, with the dashboard on `/`, ready to listen. */
export async function createApi(
  config: Config,
  dashboard = DASHBOARD,
  limits: HttpLimits = HTTP_LIMITS,
): Promise<NestFastifyApplication> {
  const direct = new DirectServer();
  const proxies = new Proxies(config.settings.TRUST_PROXY, config.settings.RECORD_CLIENT_ADDRESS);
  const adapter = createHttpAdapter(config, direct, proxies, limits);
  const app = await NestFactory.create<NestFastifyApplication>(ApiModule.forRoot(config, direct, proxies), adapter, {
    logger: createLogger(config, 'api'),
    abortOnError: false,
    bodyParser: false,
  });
  await serveReference(app, join(DASHBOARD, 'docs'), () => openApiText(config));
  await serveDashboard(app, dashboard);
  return app;
}

/** Imports and makes the document only when it is needed: this takes a tenth of the time of a start. */
async function openApiText({ publicUrl, settings }: Config): Promise<string> {
  const { openApiDocument } = await import('#libs/contract/openapi.js');
  const routes = [...allRoutes(), ...settings.DIALECTS.flatMap((name) => dialects[name].routes)];
  return JSON.stringify(openApiDocument({ serverUrl: publicUrl, version: VERSION, routes }));
}
