import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { call, type Request } from './client.js';
import { snippetOf } from './programs.js';

/*
 * The tests do not run Traefik and Envoy. They send the requests that these gateways make with the settings of
 * docs/gateways.md, according to the gateways' own documentation.
 */

interface TraefikSettings {
  readonly address: string;
  readonly authRequestHeaders: string[];
}
interface EnvoySettings {
  readonly allowed_headers: { patterns: { exact: string }[] };
  readonly http_service: {
    readonly path_prefix: string;
    readonly authorization_request: { readonly headers_to_add: { key: string; value: string }[] };
  };
}

const CLIENT_ADDRESS = '198.51.100.7';
const asks: Record<string, (request: Required<Pick<Request, 'method' | 'path' | 'headers'>>) => Request> = {
  Traefik: ({ method, path, headers }) => {
    const { address, authRequestHeaders } = withMember(
      'authRequestHeaders',
      parse(snippetOf('yaml\n# Traefik')),
    ) as TraefikSettings;
    const { pathname, search } = new URL(address);
    return {
      path: pathname + search,
      headers: {
        ...only(authRequestHeaders, headers),
        'x-forwarded-method': method,
        'x-forwarded-proto': 'http',
        'x-forwarded-host': 'api.example.com',
        'x-forwarded-uri': path,
        'x-forwarded-for': CLIENT_ADDRESS,
      },
    };
  },
  Envoy: ({ method, path, headers }) => {
    const { allowed_headers: allowed, http_service: service } = withMember(
      'http_service',
      parse(snippetOf('yaml\n# Envoy')),
    ) as EnvoySettings;
    const added = service.authorization_request.headers_to_add.map(({ key, value }) => [
      key,
      value.replace('%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%', CLIENT_ADDRESS),
    ]);
    return {
      method,
      path: service.path_prefix + path,
      headers: {
        ...only(['authorization', ...allowed.patterns.map(({ exact }) => exact)], headers),
        ...(Object.fromEntries(added) as Record<string, string>),
        host: 'api.example.com',
        'content-length': '0',
      },
    };
  },
};

/** The only object in the tree that has such a member. */
function withMember(name: string, tree: unknown): unknown {
  const all: unknown[] = [];
  JSON.stringify(tree, (_, value: unknown) => {
    if (typeof value === 'object' && value !== null && name in value) all.push(value);
    return value;
  });
  expect(all).toHaveLength(1);
  return all[0];
}

function only(names: readonly string[], headers: Readonly<Record<string, string>>): Record<string, string> {
  const allowed = new Set(names.map((name) => name.toLowerCase()));
  return Object.fromEntries(Object.entries(headers).filter(([name]) => allowed.has(name)));
}

describe.each(Object.keys(asks))('a request of %s with the settings of docs/gateways.md', (name) => {
  let deployment: Deployment;
  let ada: Account;

  beforeAll(async () => {
    deployment = await startDeployment({ env: { TRUST_PROXY: 'loopback' } });
    ada = await deployment.account();
  });

  afterAll(() => deployment.stop());

  const ask = (request: Request) =>
    call(
      Number(new URL(deployment.url).port),
      asks[name]!({ method: 'GET', path: '/', ...request, headers: { ...request.headers } }),
    );
  const newKey = (scope: string, ips: string[] = []) =>
    ada.client.apiKeys.create({ body: { name: 'Subject', scopes: [scope], allowed_ips: ips } });

  it('is verified for the scope in the settings and for the address of the client', async () => {
    const codeOf = async (key: string) => (await ask({ headers: { 'x-api-key': key } })).headers['x-authz-code'];
    expect(await codeOf((await newKey('triggers:read', [CLIENT_ADDRESS])).key)).toBe('valid');
    expect(await codeOf((await newKey('triggers:read', ['127.0.0.1'])).key)).toBe('ip_not_allowed');
    expect(await codeOf((await newKey('triggers:write')).key)).toBe('insufficient_scope');
  });

  it('is recorded as the request of the client', async () => {
    const { id, key } = await newKey('triggers:read');
    const headers = { authorization: `Bearer ${key}`, 'user-agent': 'curl/8', 'content-type': 'text/csv' };
    const path = '/triggers/7?token=secret&scope=&cost=0&nginx=1';
    expect((await ask({ method: 'DELETE', path, headers })).status).toBe(200);
    const { data } = await eventually(
      () => ada.client.audit.listEvents({ query: { key_id: id, type: 'api_key.used' } }),
      (response) => response.data.length === 1,
    );
    const recorded = { method: 'DELETE', path: '/triggers/7', user_agent: 'curl/8', ip: CLIENT_ADDRESS };
    expect(data.map(({ event }) => event.data)).toMatchObject([{ ...recorded, scopes: ['triggers:read'], cost: 1 }]);
  });

  it('keeps the status and the problem of a rejection', async () => {
    const { key } = await newKey('triggers:read');
    const headers = { 'x-api-key': key, authorization: 'Bearer other' };
    const { status, text } = await ask({ path: '/?nginx=1', headers });
    expect({ status, problem: JSON.parse(text) as unknown }).toMatchObject({
      status: 400,
      problem: { code: 'multiple_credentials' },
    });
  });

  it.each(['HEAD', 'PUT', 'OPTIONS'])('gets a response for %s', async (method) => {
    const { key } = await newKey('triggers:read');
    expect((await ask({ method, headers: { 'x-api-key': key } })).headers['x-authz-code']).toBe('valid');
  });
});
