import { AsyncLocalStorage } from 'node:async_hooks';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  defaultTextMapGetter,
  diag,
  DiagLogLevel,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Context,
  type Span,
} from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
  type Sampler,
} from '@opentelemetry/sdk-trace';
import { Logger } from '@nestjs/common';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Settings } from './config.js';
import { errorText } from './error-text.js';

/** The code reports its work here. Names of spans never contain caller input. */
export interface Tracing {
  /** Makes a span of the work, as a child of the current one. */
  span<T>(name: string, work: () => Promise<T>): Promise<T>;
  /** Makes a span of each request that the server handles. */
  requests(server: FastifyInstance): void;
  /** Makes a span of one request, from now to its response. */
  request(route: string, request: IncomingMessage, response: ServerResponse, work: () => void): void;
  /** Sends the remaining spans. */
  end(): Promise<void>;
}

/** An unreachable receiver must not delay the stop of the process. */
const END_DEADLINE_MS = 2_000;
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/**
 * Traces by hand, at the few places that take time. Instrumentation libraries change other modules as they load: they
 * record statements and addresses, which may contain secrets here, and need hooks into the module loader. The exporter
 * reads its own variables, such as OTEL_EXPORTER_OTLP_HEADERS, from the environment.
 */
export function startOpenTelemetry(settings: Settings, serviceName: string): Tracing {
  const logger = new Logger('OpenTelemetry');
  logDiagnostics(logger);
  const provider = exportingProvider(settings, serviceName);
  const tracer = provider.getTracer('keyledger');
  const propagator = new W3CTraceContextPropagator();
  const current = new AsyncLocalStorage<Context>();
  const ofRequest = new WeakMap<FastifyRequest, Context>();

  /** @param route the pattern of the path: the path itself comes from the caller and may contain anything */
  function begin(route: string | undefined, request: IncomingMessage, response: ServerResponse): Context {
    const method = METHODS.has(request.method!) ? request.method! : '_OTHER';
    const parent = propagator.extract(ROOT_CONTEXT, request.headers, defaultTextMapGetter);
    const attributes = { 'http.request.method': method, ...(route && { 'http.route': route }) };
    const name = route ? `${method} ${route}` : method;
    const span = tracer.startSpan(name, { kind: SpanKind.SERVER, attributes }, parent);
    endWithResponse(span, response);
    return trace.setSpan(parent, span);
  }

  return {
    async span(name, work) {
      const parent = current.getStore() ?? ROOT_CONTEXT;
      const span = tracer.startSpan(name, {}, parent);
      try {
        return await current.run(trace.setSpan(parent, span), work);
      } catch (error) {
        // The message may contain caller input.
        span.setStatus({ code: SpanStatusCode.ERROR });
        span.setAttribute('error.type', error instanceof Error ? error.name : typeof error);
        throw error;
      } finally {
        span.end();
      }
    },
    requests(server: FastifyInstance) {
      server.addHook('onRequest', (request: FastifyRequest, reply: FastifyReply, done) => {
        const context = begin(request.routeOptions.url, request.raw, reply.raw);
        ofRequest.set(request, context);
        current.run(context, done);
      });
      // Once more: reading a body leaves the asynchronous context in which it began.
      server.addHook('preHandler', (request: FastifyRequest, _reply: FastifyReply, done) =>
        current.run(ofRequest.get(request)!, done),
      );
    },
    request(route, request, response, work) {
      current.run(begin(route, request, response), work);
    },
    async end() {
      const sent = provider
        .shutdown()
        .catch((error: unknown) => logger.warn(`Traces were not sent: ${errorText(error)}`));
      await Promise.race([sent, sleep(END_DEADLINE_MS, undefined, { ref: false })]);
    },
  };
}

/** Writes what OpenTelemetry reports about itself to the log. */
function logDiagnostics(logger: Logger): void {
  diag.setLogger(
    {
      error: (message) => logger.warn(message),
      warn: (message) => logger.warn(message),
      info: (message) => logger.debug(message),
      debug: (message) => logger.debug(message),
      verbose: (message) => logger.verbose(message),
    },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
}

function exportingProvider(settings: Settings, serviceName: string): TracerProvider {
  return new TracerProvider({
    sampler: samplerOf(settings),
    resource: defaultResource()
      .merge(resourceFromAttributes({ 'service.name': serviceName }))
      .merge(detectResources({ detectors: [envDetector] })),
    spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter() })],
  });
}

function endWithResponse(span: Span, response: ServerResponse): void {
  // Also runs if the client leaves before the response.
  response.once('close', () => {
    const { statusCode } = response;
    span.setAttribute('http.response.status_code', statusCode);
    if (statusCode >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end();
  });
}

function samplerOf({ OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: ratio }: Settings): Sampler {
  const root = name.endsWith('traceidratio')
    ? new TraceIdRatioBasedSampler(ratio)
    : name.endsWith('always_off')
      ? new AlwaysOffSampler()
      : new AlwaysOnSampler();
  return name.startsWith('parentbased_') ? new ParentBasedSampler({ root }) : root;
}
