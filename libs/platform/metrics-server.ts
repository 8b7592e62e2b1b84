import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { collectDefaultMetrics } from 'prom-client';
import { Config, ConfigError } from './config.js';
import { errorText } from './error-text.js';
import { DomainError } from './errors.js';
import { createHttpServer } from './http/http-server.js';
import { queryFault } from './http/input.js';
import { refuseRequest } from './http/refuse-unrouted.js';
import { Gauges, registry } from './metrics.js';

const PATH = '/metrics';

/** Serves the metrics on `METRICS_PORT`, apart from the API, so that publishing the API does not publish them. */
@Injectable()
export class MetricsServer implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #logger = new Logger(MetricsServer.name);
  #server: Server | undefined;

  constructor(
    private readonly gauges: Gauges,
    private readonly config: Config,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    const { METRICS_PORT: port, METRICS_HOST: host } = this.config.settings;
    if (port === undefined) return;
    // They observe the event loop and the garbage collector, a cost without use if nothing reads the metrics.
    if (!registry.getSingleMetric('process_cpu_seconds_total')) collectDefaultMetrics({ register: registry });
    const serve = (request: IncomingMessage, response: ServerResponse) => void this.#respond(request, response);
    this.#server = createHttpServer(this.config.publicUrl, serve).listen(port, host);
    await once(this.#server, 'listening').catch((error: NodeJS.ErrnoException) => {
      throw new ConfigError(
        error.code === 'EADDRINUSE'
          ? `METRICS_PORT ${port} is taken by another process; stop it or set METRICS_PORT to a free one.`
          : `METRICS_PORT ${port} cannot be used at METRICS_HOST ${host} (${error.code}).`,
      );
    });
  }

  async #respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const fault = faultOf(request);
    if (fault) {
      refuseRequest(this.config.publicUrl, fault, request, response);
      return;
    }
    try {
      const text = `${await registry.metrics()}\n${await this.gauges.registry.metrics()}`;
      response.writeHead(200, { 'content-type': registry.contentType }).end(text);
    } catch (error) {
      this.#logger.error(`The metrics could not be read: ${errorText(error)}`);
      response.writeHead(500).end();
    }
  }

  async onApplicationShutdown(): Promise<void> {
    if (!this.#server) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

/** Metrics are served all at once: a query that asks for some of them is rejected. */
function faultOf({ method, url }: IncomingMessage): DomainError | undefined {
  const [path, query] = url!.split('?', 2);
  if (method !== 'GET' || path !== PATH) return new DomainError('not_found', `Only GET ${PATH} is served here`);
  return queryFault(Object.fromEntries(new URLSearchParams(query)));
}
