import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { acceptance, GATEWAY_HEADERS, rejection } from '#libs/api-keys/gateway/gateway-response.js';
import { VerificationCode } from '#libs/contract/verification.js';
import { problems, type ProblemCode } from '#libs/contract/problem.js';
import { DomainError } from '#libs/platform/errors.js';
import { snippetOf } from '../gateways/programs.js';
import { firstTable } from '../support/markdown-table.js';

const text = readFileSync(new URL('../../docs/gateways.md', import.meta.url), 'utf8');

/** The rows of the first table after a heading. */
const rowsAfter = (heading: string) => firstTable(text.slice(text.indexOf(`\n${heading}\n`)));
const words = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, word]) => word!);

const traefik = JSON.stringify(parse(snippetOf('yaml\n# Traefik'))).toLowerCase();
const envoy = JSON.stringify(parse(snippetOf('yaml\n# Envoy')));
const nginx = snippetOf('nginx').toLowerCase();
const caddy = snippetOf('caddyfile').toLowerCase();

/** Headers that a gateway must not pass on from a client. */
const forbidden = [
  ...GATEWAY_HEADERS,
  'x-authz-scope',
  'x-authz-project',
  'x-authz-cost',
  'x-authz-credential',
  'x-http-method-override',
  'x-http-method',
  'x-method-override',
];

describe('docs/gateways.md', () => {
  it('has a row for every header and for no other', () => {
    const told = rowsAfter('## Responses').flatMap(([header]) => words(header!.toLowerCase()));
    expect(told).toEqual(GATEWAY_HEADERS);
    const record = { organizationId: 'o', projectId: null, apiKeyId: 'k', environment: 'test', externalId: null };
    const { headers } = acceptance({ ...record, scopes: [] } as unknown as Parameters<typeof acceptance>[0]);
    expect(Object.keys(headers)).toEqual(GATEWAY_HEADERS);
  });

  it('has every code that a gateway gets under its status', () => {
    const statusOf = (code: ProblemCode, forNginx: boolean) =>
      rejection(new DomainError(code), { publicUrl: '', requestId: '', forNginx }).status;
    const told = rowsAfter('### Rejections').flatMap(([status, codes, forNginx]) =>
      words(codes!)
        .filter((word): word is ProblemCode => word in problems)
        .map((code) => [code, Number(status), Number(forNginx)]),
    );
    expect(told).toEqual(
      told.map(([code]) => [code, statusOf(code as ProblemCode, false), statusOf(code as ProblemCode, true)]),
    );
    const rejections = VerificationCode.options.filter((code) => code !== 'valid');
    expect(told.map(([code]) => code)).toEqual(
      expect.arrayContaining([...rejections, 'unauthenticated', 'unknown_gateway']),
    );
  });

  it('links to headings that exist', () => {
    const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
      heading!.toLowerCase().replaceAll(' ', '-'),
    );
    for (const [, heading] of text.matchAll(/\]\(#([^)]+)\)/g)) expect(headings).toContain(heading);
  });
});

describe('the snippet', () => {
  it('for nginx replaces all headers that a client may not set, and forwards all', () => {
    const set = [...nginx.matchAll(/proxy_set_header (\S+)/g)].map(([, header]) => header!);
    expect(set).toEqual(expect.arrayContaining([...forbidden, 'x-api-key', 'authorization']));
    for (const header of GATEWAY_HEADERS) expect(nginx).toContain(`$upstream_http_${header.replaceAll('-', '_')};`);
  });

  it('for Caddy deletes all headers that a client may not set, and forwards all', () => {
    const [, copied] = /copy_headers (.*)/.exec(caddy)!;
    expect(copied!.trim().split(' ')).toEqual(GATEWAY_HEADERS);
    const deleted = [...caddy.matchAll(/request_header -(\S+)/g)].map(([, header]) => header!.replaceAll('*', '.*'));
    const isDeleted = (header: string) => deleted.some((pattern) => new RegExp(`^${pattern}$`).test(header));
    expect([...forbidden, 'x-api-key', 'authorization'].filter((header) => !isDeleted(header))).toEqual([]);
  });

  it('for Traefik deletes all headers that a client may not set, forwards all, and removes the key last', () => {
    const { http } = JSON.parse(traefik) as {
      http: {
        routers: Record<string, { middlewares: string[] }>;
        middlewares: Record<string, { headers: { customrequestheaders: Record<string, string> } }> & {
          keyledger: { forwardauth: { authresponseheaders: string[] } };
        };
      };
    };
    const deletes = (name: string) => http.middlewares[name]!.headers.customrequestheaders;
    expect(deletes('only-keyledger-says')).toEqual(Object.fromEntries(forbidden.map((header) => [header, ''])));
    expect(deletes('without-key')).toEqual({ 'x-api-key': '', authorization: '' });
    expect(http.middlewares.keyledger.forwardauth.authresponseheaders).toEqual(GATEWAY_HEADERS);
    expect(http.routers['api']!.middlewares).toEqual(['only-keyledger-says', 'keyledger', 'without-key']);
    expect(http.routers['preflights']!.middlewares).toEqual(['only-keyledger-says', 'without-key']);
  });

  it('for Envoy deletes all headers that a client may not set, forwards all, and removes the key after its filters', () => {
    const removed = [...envoy.matchAll(/"remove":"([^"]+)"/g)].map(([, header]) => header);
    expect(removed).toEqual(forbidden);
    const [, handedOn] = /"allowed_upstream_headers":\{"patterns":(\[[^\]]*\])/.exec(envoy)!;
    expect(JSON.parse(handedOn!)).toEqual(GATEWAY_HEADERS.map((exact) => ({ exact })));
    expect(envoy).toContain('"request_headers_to_remove":["x-api-key","authorization"]');
    const filters = [...envoy.matchAll(/"name":"envoy\.filters\.http\.(\w+)"/g)].map(([, name]) => name);
    expect(filters).toEqual(['header_mutation', 'ext_authz', 'router']);
  });
});
