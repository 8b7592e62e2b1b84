import type { ZodOpenApiOperationObject, ZodOpenApiPathsObject, ZodOpenApiResponsesObject } from 'zod-openapi';
import { Problem, problems, type ProblemCode } from './problem.js';

/** The rejections of a gateway's question, by status. */
const rejections: Readonly<Record<number, readonly ProblemCode[]>> = {
  400: ['invalid_request', 'multiple_credentials'],
  401: ['unauthenticated', 'invalid_key', 'revoked', 'expired', 'disabled'],
  402: ['insufficient_credits'],
  403: [
    'organization_suspended',
    'ip_not_allowed',
    'origin_not_allowed',
    'wrong_project',
    'insufficient_scope',
    'unknown_gateway',
  ],
  429: ['rate_limited'],
  503: ['audit_unavailable', 'database_unavailable', 'overloaded'],
};

const text = (example: string) => ({ type: 'string' as const, examples: [example] });

/** What a gateway demands of the key: the parameter of the query, and the header where the query is the client's. */
const policy = [
  [
    'scope',
    'X-Authz-Scope',
    'What the key must reach: up to 20 scopes, separated by commas, or `none`',
    'triggers:read',
  ],
  ['project', 'X-Authz-Project', 'The project of the request', 'proj_01h455vb4pex5vsknk084sn02q'],
  ['cost', 'X-Authz-Cost', 'What the use takes from rate limits and credits, 0 to 1,000,000. By default 1', '1'],
  [
    'credential',
    'X-Authz-Credential',
    'Where the key is: `either` (X-API-Key or Authorization: Bearer, the default), `authorization`, the name of another header, or a header and a scheme such as `authorization:token`. Every other header is left to the API behind',
    'x-api-key',
  ],
] as const;

const ofRequest = [
  ['X-Forwarded-Method', 'The method of the request', 'GET'],
  ['X-Forwarded-Uri', 'The path of the request', '/orders/4711'],
  ['X-Forwarded-For', 'The address of the client', '203.0.113.9'],
] as const;

const accepted = {
  'X-Organization-Id': ['The organization that owns the key', 'org_01h455vb4pex5vsknk084sn02q'],
  'X-Project-Id': ['The project that the key is limited to, or `-`', '-'],
  'X-Api-Key-Id': ['The key', 'key_01h455vb4pex5vsknk084sn02q'],
  'X-Api-Key-Environment': ['`test` or `live`', 'live'],
  'X-Api-Key-External-Id': ['Its external id, percent-encoded, or `-`', 'cus_4711'],
  'X-Scopes': ['What it reaches, separated by spaces', 'triggers:read triggers:write'],
  'X-Authz-Code': ['The decision', 'valid'],
  'X-Authz-Status': ['The status of the decision', '200'],
} as const;

const header = (name: string, description: string, example: string, required = false) => ({
  name,
  in: 'header' as const,
  description,
  required,
  schema: text(example),
});

/** The operations of gateways, which are served beside the table of routes. */
export const gatewayPaths: ZodOpenApiPathsObject = {
  '/authz': {
    get: {
      ...operation('gateway.authorize', 'Decide about a request, for nginx, Caddy and Traefik'),
      parameters: [
        ...policy.map(([name, , description, example]) => ({
          name,
          in: 'query' as const,
          description,
          schema: text(example),
        })),
        {
          name: 'nginx',
          in: 'query' as const,
          description: '`1`: a status that nginx does not know becomes 403, with the original in X-Authz-Status',
          schema: { type: 'string', enum: ['1'] },
        },
        ...ofRequest.map(([name, description, example]) => header(name, description, example)),
      ],
    },
  },
  '/authz/{path}': {
    get: {
      ...operation('gateway.authorizePath', 'Decide about a request, for Envoy'),
      parameters: [
        {
          name: 'path',
          in: 'path',
          required: true,
          description: 'The path of the request, slashes included. Its query is the client’s and decides nothing',
          schema: text('orders/4711'),
        },
        ...policy.map(([name, as, description, example]) => header(as, description, example, name === 'scope')),
        header('X-Forwarded-For', 'The address of the client', '203.0.113.9'),
      ],
    },
  },
};

function operation(operationId: string, summary: string): ZodOpenApiOperationObject {
  return {
    operationId,
    tags: ['Gateways'],
    summary,
    description:
      'Accepts any method. The key is where `credential` says. An accepted request is recorded and ' +
      'charged before the response leaves. A parameter that is not understood is 400, and no request passes.',
    security: [{ apiKey: [] }, { bearer: [] }],
    responses: {
      200: {
        description: 'The key is good for the request',
        headers: Object.fromEntries(
          Object.entries(accepted).map(([name, [description, example]]) => [
            name,
            { description, schema: text(example) },
          ]),
        ),
      },
      ...rejectionResponses(),
    },
  };
}

function rejectionResponses(): ZodOpenApiResponsesObject {
  return Object.fromEntries(
    Object.entries(rejections).map(([status, codes]) => [
      status,
      {
        description: codes.map((code) => `\`${code}\`: ${problems[code].title}.`).join(' '),
        content: { 'application/problem+json': { schema: Problem } },
      },
    ]),
  );
}
