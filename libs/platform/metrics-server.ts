import cluster from 'node:cluster';
import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { AggregatorRegistry, collectDefaultMetrics } from 'prom-client';
import { Config, ConfigError } from './config.js';
import { errorText } from './error-text.js';
import { DomainError } from './errors.js';
import { createHttpServer } from './http/http-server.js';
import { queryFault } from './http/input.js';
import { refuseRequest } from './http/refuse-unrouted.js';
import { Gauges, registry } from './metrics.js';

const PATH = '/metrics';

/**
 * Serves the metrics of this process. One of several processes of the API gives them to the process that started it,
 * which serves the metrics of all.
 */
@Injectable()
export class MetricsServer implements OnApplicationBootstrap, OnApplicationShutdown {
  #server: Server | undefined;

  constructor(
    private readonly gauges: Gauges,
    private readonly config: Config,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    if (this.config.settings.METRICS_PORT === undefined) return;
    // They observe the event loop and the garbage collector, a cost without use if nothing reads the metrics.
    if (!registry.getSingleMetric('process_cpu_seconds_total')) collectDefaultMetrics({ register: registry });
    const registries = [registry, this.gauges.registry];
    if (cluster.isWorker) {
      AggregatorRegistry.setRegistries(registries);
      // Only this makes it respond.
      void new AggregatorRegistry();
      return;
    }
    const read = async () => (await Promise.all(registries.map((own) => own.metrics()))).join('\n');
    this.#server = await serveMetrics(this.config, registry.contentType, read);
  }

  async onApplicationShutdown(): Promise<void> {
    if (this.#server) await closeMetrics(this.#server);
  }
}

/**
 * Serves metrics on `METRICS_PORT`, apart from the API, so that publishing the API does not publish them.
 * @returns undefined if there is no such port
 */
export async function serveMetrics(
  { settings, publicUrl }: Config,
  contentType: string,
  read: () => Promise<string>,
): Promise<Server | undefined> {
  const { METRICS_PORT: port, METRICS_HOST: host } = settings;
  if (port === undefined) return undefined;
  const logger = new Logger('MetricsServer');
  const respond = async (request: IncomingMessage, response: ServerResponse) => {
    const fault = faultOf(request);
    if (fault) {
      refuseRequest(publicUrl, fault, request, response);
      return;
    }
    try {
      const text = await read();
      response.writeHead(200, { 'content-type': contentType }).end(text);
    } catch (error) {
      logger.error(`The metrics could not be read: ${errorText(error)}`);
      response.writeHead(500).end();
    }
  };
  const server = createHttpServer(publicUrl, (request, response) => void respond(request, response));
  server.listen(port, host);
  await once(server, 'listening').catch((error: NodeJS.ErrnoException) => {
    throw new ConfigError(
      error.code === 'EADDRINUSE'
        ? `METRICS_PORT ${port} is taken by another process; stop it or set METRICS_PORT to a free one.`
        : `METRICS_PORT ${port} cannot be used at METRICS_HOST ${host} (${error.code}).`,
    );
  });
  return server;
}

export async function closeMetrics(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

/** Metrics are served all at once: a query that asks for some of them is rejected. */
function faultOf({ method, url }: IncomingMessage): DomainError | undefined {
  const [path, query] = url!.split('?', 2);
  if (method !== 'GET' || path !== PATH) return new DomainError('not_found', `Only GET ${PATH} is served here`);
  return queryFault(Object.fromEntries(new URLSearchParams(query)));
}
