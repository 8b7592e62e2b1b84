import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import type { Config } from './config.js';
import type { Tracing } from './open-telemetry.js';

let tracing: Tracing | undefined;

/** Loads OpenTelemetry only if it is configured: it has many files. */
export async function startTracing({ settings }: Config, process: 'api' | 'worker'): Promise<void> {
  if (!settings.OTEL_EXPORTER_OTLP_ENDPOINT) return;
  const { startOpenTelemetry } = await import('./open-telemetry.js');
  tracing = startOpenTelemetry(settings, `keyledger-${process}`);
}

export function traced<T>(name: string, work: () => Promise<T>): Promise<T> {
  return tracing ? tracing.span(name, work) : work();
}

export function isTracing(): boolean {
  return tracing !== undefined;
}

/** @param route the pattern of the path, for the name of the span */
export function tracedRequest(
  route: string,
  request: IncomingMessage,
  response: ServerResponse,
  work: () => void,
): void {
  if (tracing) tracing.request(route, request, response, work);
  else work();
}

export function traceRequests(server: FastifyInstance): void {
  tracing?.requests(server);
}

export async function endTracing(): Promise<void> {
  await tracing?.end();
  tracing = undefined;
}
