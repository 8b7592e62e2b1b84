import type { Request } from './connection.ts';

/** The headers of /authz for a valid key. Servers that are measured for comparison send the same number. */
export const HEADERS = {
  'x-request-id': 'req_01h455vb4pex5vsknk084sn02q',
  'cache-control': 'no-store',
  'x-organization-id': 'org_01h455vb4pex5vsknk084sn02q',
  'x-project-id': '-',
  'x-api-key-id': 'key_01h455vb4pex5vsknk084sn02q',
  'x-api-key-environment': 'test',
  'x-api-key-external-id': '-',
  'x-scopes': 'triggers:read',
  'x-authz-code': 'valid',
  'x-authz-status': '200',
};

const addressOf = (n: number) => `203.0.113.${n % 250}`;
const pathOf = (n: number) => `/v1/triggers/${n % 30}`;
const agentOf = (n: number) => `acme-sdk/1.${n % 5} (linux)`;

/** What a trusted gateway tells of the n-th request. */
function clientHeaders(n: number): Record<string, string> {
  return {
    'x-forwarded-for': addressOf(n),
    'x-forwarded-method': 'GET',
    'x-forwarded-uri': pathOf(n),
    'user-agent': agentOf(n),
  };
}

/** One request of a gateway for each key. */
export function requestsOf(tokens: readonly string[], path: string): Request[] {
  return tokens.map((token, n) => ({ path, headers: { 'x-api-key': token, ...clientHeaders(n) } }));
}

/** What a gateway tells of the n-th request, as a service tells it in the body of a verification. */
export function requestSaid(n: number): Record<string, string> {
  return { method: 'GET', path: pathOf(n), ip: addressOf(n), user_agent: agentOf(n) };
}
