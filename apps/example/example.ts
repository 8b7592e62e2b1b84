import { Module, StandardSchemaValidationPipe, type DynamicModule, type NestApplicationOptions } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_PIPE, NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { createClient } from '#libs/client/client.js';
import { AgentsController } from './agents.controller.js';
import { KEYLEDGER, KeyledgerGuard } from './keyledger.guard.js';
import { ProblemFilter } from './problem.js';
import type { ExampleSettings } from './settings.js';
import { TriggersController } from './triggers.controller.js';

/** Longer than this no caller waits to hear whether its key is good. */
const VERIFY_WITHIN_MS = 5_000;

/**
 * Pages of every origin may ask, and read what they are told: who may do something is decided by the key in a header, which
 * no browser adds by itself as it does with cookies, and for a public key alone by the allowed domains.
 */
const CORS: NestApplicationOptions['cors'] = {
  origin: '*',
  methods: ['GET', 'POST'],
  exposedHeaders: ['Retry-After', 'WWW-Authenticate'],
};

/**
 * A load balancer must close an idle connection before the server does: the usual ones keep theirs for 60 seconds. What is
 * not set here is without a limit.
 */
const SERVER: ConstructorParameters<typeof FastifyAdapter>[0] = {
  bodyLimit: 64 * 1024,
  keepAliveTimeout: 75_000,
  requestTimeout: 30_000,
  http: { headersTimeout: 15_000, connectionsCheckingInterval: 5_000, maxHeaderSize: 16 * 1024 },
};
const MAX_CONNECTIONS = 10_000;

type KeyledgerAccess = Omit<ExampleSettings, 'port'>;

@Module({})
export class ExampleModule {
  static forRoot({ keyledgerUrl, serviceKey }: KeyledgerAccess): DynamicModule {
    const keyledger = createClient({
      baseUrl: keyledgerUrl,
      apiKey: serviceKey,
      fetch: (url, init) => fetch(url, { ...init, signal: AbortSignal.timeout(VERIFY_WITHIN_MS) }),
    });
    return {
      module: ExampleModule,
      controllers: [AgentsController, TriggersController],
      providers: [
        { provide: KEYLEDGER, useValue: keyledger },
        // Before every route, those that nobody thought of included.
        { provide: APP_GUARD, useClass: KeyledgerGuard },
        { provide: APP_PIPE, useValue: new StandardSchemaValidationPipe() },
        { provide: APP_FILTER, useClass: ProblemFilter },
      ],
    };
  }
}

/** The API of a vendor whose customers hold keys that Keyledger issued, ready to listen. */
export async function createExample(settings: KeyledgerAccess): Promise<NestFastifyApplication> {
  const app = await NestFactory.create<NestFastifyApplication>(
    ExampleModule.forRoot(settings),
    new FastifyAdapter(SERVER),
    { logger: ['error', 'warn'], abortOnError: false, cors: CORS },
  );
  app.getHttpServer().maxConnections = MAX_CONNECTIONS;
  return app;
}
