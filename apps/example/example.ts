import { Module, StandardSchemaValidationPipe, type DynamicModule, type NestApplicationOptions } from '@nestjs/common';
import { APP_FILTER, APP_PIPE, NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { KeyledgerModule } from '#libs/nest/keyledger.module.js';
import { AgentsController } from './agents.controller.js';
import { ProblemFilter } from './problem.js';
import type { ExampleSettings } from './settings.js';
import { TriggersController } from './triggers.controller.js';

/**
 * Any origin may call the API and read the responses. The key in a header grants access, and unlike cookies, browsers
 * never add it on their own. For a public key alone, the allowed domains decide.
 */
const CORS: NestApplicationOptions['cors'] = {
  origin: '*',
  methods: ['GET', 'POST'],
  exposedHeaders: ['Retry-After', 'WWW-Authenticate'],
};

/**
 * Longer than the idle timeout of common load balancers (60 seconds), so that the load balancer closes idle connections
 * first. Everything that is not set here is unlimited.
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
    return {
      module: ExampleModule,
      imports: [KeyledgerModule.forRoot({ baseUrl: keyledgerUrl, apiKey: serviceKey, realm: 'example' })],
      controllers: [AgentsController, TriggersController],
      providers: [
        { provide: APP_PIPE, useValue: new StandardSchemaValidationPipe() },
        { provide: APP_FILTER, useClass: ProblemFilter },
      ],
    };
  }
}

/** Creates an example vendor API, ready to listen, whose customers hold keys issued by Keyledger. */
export async function createExample(settings: KeyledgerAccess): Promise<NestFastifyApplication> {
  const app = await NestFactory.create<NestFastifyApplication>(
    ExampleModule.forRoot(settings),
    new FastifyAdapter(SERVER),
    { logger: ['error', 'warn'], abortOnError: false, cors: CORS },
  );
  app.getHttpServer().maxConnections = MAX_CONNECTIONS;
  return app;
}
