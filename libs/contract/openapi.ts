import { z } from 'zod';
import {
  createDocument,
  type ZodOpenApiOperationObject,
  type ZodOpenApiPathsObject,
  type ZodOpenApiResponseObject,
} from 'zod-openapi';
import { DomainEvent } from './events.js';
import { bodyWhenRepeated } from './idempotency.js';
import { addExamples } from './openapi-examples.js';
import { gatewayPaths } from './openapi-gateway.js';
import { tagsOf } from './openapi-tags.js';
import { Problem, problems, type ProblemCode } from './problem.js';
import { isForUsers, pathTemplate, type NamedRoute, type Route } from './route.js';
import { VerificationCode } from './verification.js';

/** The OpenAPI 3.1 document of these routes. */
export function openApiDocument(options: { serverUrl: string; version: string; routes: readonly NamedRoute[] }) {
  const paths = { ...pathsOf(options.routes), ...gatewayPaths };
  const document = createDocument({
    openapi: '3.1.0',
    info: {
      title: 'Keyledger',
      version: options.version,
      description:
        'Issues, verifies, meters and audits API keys. Errors are problem details (RFC 9457). An operation that changes ' +
        'something responds with 400 to a precondition (`If-Match`, `If-None-Match`, `If-Unmodified-Since`) or an ' +
        '`Idempotency-Key` that it does not list. A secret or a token in a text that takes none, such as a name or ' +
        'metadata, is `invalid_request`.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: options.serverUrl }],
    ...tagsOf(tagsIn(paths)),
    components: {
      schemas: { DomainEvent },
      securitySchemes: {
        apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
        bearer: { type: 'http', scheme: 'bearer', description: 'An access token, or an API key' },
      },
    },
    paths,
  });
  describeEvents(document.components!.schemas!);
  addExamples(document as unknown as Parameters<typeof addExamples>[0]);
  return document;
}

function tagsIn(paths: ZodOpenApiPathsObject): Set<string> {
  const operations = Object.values(paths).flatMap((path) => Object.values(path) as ZodOpenApiOperationObject[]);
  return new Set(operations.flatMap(({ tags = [] }) => tags));
}

type Schemas = NonNullable<NonNullable<ReturnType<typeof createDocument>['components']>['schemas']>;

/** The service reads events loosely, because those of newer versions have more fields. This version writes these. */
function describeEvents(schemas: Schemas): void {
  // The library makes each event twice, as input and as output, and only the output is used.
  const suffix = 'Output';
  const made = Object.keys(schemas).filter((name) => name.endsWith(`Event${suffix}`));
  for (const name of made) {
    schemas[name.slice(0, -suffix.length)] = schemas[name]!;
    delete schemas[name];
  }
  const names = made.map((name) => name.slice(0, -suffix.length));
  schemas['DomainEvent'] = {
    description: 'A CloudEvents 1.0 object',
    oneOf: names.map((name) => ({ $ref: `#/components/schemas/${name}` })),
  };
  schemas['AuditedEvent'] = {
    description:
      'The domain event, a CloudEvents 1.0 object. Newer versions add types and fields: ignore unknown ones.',
    anyOf: [{ $ref: '#/components/schemas/DomainEvent' }, schemas['AuditedEvent']!],
  };
}

function pathsOf(routes: readonly NamedRoute[]): ZodOpenApiPathsObject {
  const result: Record<string, Record<string, ZodOpenApiOperationObject>> = {};
  for (const { name, route } of routes) {
    const path = pathTemplate(route.path);
    result[path] = { ...result[path], [route.method.toLowerCase()]: operation(name, route) };
  }
  return result;
}

function operation(name: string, route: Route): ZodOpenApiOperationObject {
  return {
    operationId: name,
    tags: [route.tag],
    summary: route.summary,
    description: [route.description, policySentence(route)].filter(Boolean).join('\n\n'),
    security: route.policy === 'public' ? [] : isForUsers(route) ? [{ bearer: [] }] : [{ apiKey: [] }, { bearer: [] }],
    requestParams: {
      ...(route.params && { path: route.params }),
      ...(route.query && { query: route.query }),
      ...(route.headers && { header: route.headers }),
    },
    ...(route.body && {
      requestBody: {
        required: !route.body.safeParse({}).success,
        content: { 'application/json': { schema: route.body } },
      },
    }),
    responses: {
      [route.success.status]: {
        description: 'Success',
        ...contentOf(route),
      },
      ...problemResponses(route),
    },
  };
}

function contentOf(route: Route): Pick<ZodOpenApiResponseObject, 'content'> {
  const { stream } = route.success;
  if (stream) return { content: Object.fromEntries(stream.map((type) => [type, { schema: z.string() }])) };
  const body = route.idempotent ? bodyWhenRepeated(route) : route.success.body;
  return body ? { content: { 'application/json': { schema: body } } } : {};
}

/** Reasons to reject the key itself, before the requirements of the route. */
const KEY_REFUSALS: readonly ProblemCode[] = VerificationCode.exclude([
  'valid',
  'wrong_project',
  'insufficient_scope',
  'insufficient_credits',
]).options;

function policySentence(route: Route): string {
  if (route.policy === 'public') return '';
  if (route.policy === 'user') return 'Needs the access token of a user.';
  if (route.policy === 'operator') return 'Needs the access token of an operator.';
  if (route.policy === 'authenticated') return 'Accepts any credential.';
  if (route.policy === 'key') return 'Needs a key.';
  const { scope, usersOnly } = route.policy;
  return usersOnly
    ? `Needs the access token of a user whose role has the scope \`${scope}\`.`
    : `Needs the scope \`${scope}\`, of a key or of the role of a user.`;
}

/**
 * Every problem that a route may respond with: those that it declares, and those that follow from its RoutePolicy and
 * input.
 */
export function problemsOf(route: Route): ProblemCode[] {
  const codes = new Set<ProblemCode>([...(route.problems ?? []), 'invalid_request', 'headers_too_large']);
  // Also for a route without a body: if the request has one, it is read.
  if (route.method !== 'GET') {
    codes.add('request_timeout');
    codes.add('payload_too_large');
    codes.add('unsupported_media_type');
    // Changes wait in queues.
    codes.add('rate_limited');
    codes.add('overloaded');
  }
  if (route.policy !== 'public') {
    for (const code of [
      'multiple_credentials',
      'unauthenticated',
      'invalid_token',
      'audit_unavailable',
      'overloaded',
    ] as const) {
      codes.add(code);
    }
    for (const code of KEY_REFUSALS) codes.add(code);
    if (isForUsers(route)) codes.add('user_required');
    if (route.policy === 'operator') codes.add('operator_required');
    if (typeof route.policy === 'object') codes.add('insufficient_scope');
  }
  if (route.idempotent) {
    codes.add('idempotency_in_flight');
    codes.add('idempotency_key_reused');
  }
  codes.add('internal_error');
  codes.add('database_unavailable');
  return [...codes];
}

function problemResponses(route: Route) {
  const { rejections } = route;
  const byStatus = Map.groupBy(problemsOf(route), (code) => rejections?.statuses[code] ?? problems[code].status);
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [
      status,
      {
        description: codes.map((code) => `\`${code}\`: ${problems[code].title}.`).join(' '),
        content: rejections
          ? { 'application/json': { schema: rejections.body } }
          : { 'application/problem+json': { schema: Problem } },
      },
    ]),
  );
}
