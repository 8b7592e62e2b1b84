import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { pathTemplate } from '#libs/contract/route.js';
import { routeTable } from '../support/route-table.js';

const root = join(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');

const documents = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  ...globSync('docs/{,api/,deployment/}*.md', { cwd: root }),
];
const sources = globSync('{apps,libs}/**/*.{ts,tsx,mjs,py,sql}', { cwd: root }).filter(
  (file) => !file.endsWith('.spec.ts'),
);
const ofTheTree = ['.env.example', 'docker-compose.yml', 'package.json', 'apps/launcher/launcher.mjs'];
const code = [...sources, ...ofTheTree].map(read).join('\n');
const words = new Set(code.match(/\w+/g));

/** Names that the documents explain or show, and that are not ours. */
const OF_OTHERS = {
  'Better Auth': 'disableKeyHashing rateLimitEnabled',
  Unkey: 'autoApply deleted_at_m pending_migration_id remaining_requests',
  Envoy: 'allowed_client_headers allowed_headers header_mutation headers_to_add idle_timeout request_headers_to_remove',
  nginx: 'real_ip_header',
  Traefik: 'authRequestHeaders',
  Kubernetes: 'ReadWriteMany',
  PostgreSQL: 'auto_explain force_generic_plan log_min_duration_statement max_connections shared_buffers',
  OpenTelemetry: 'OTEL_RESOURCE_ATTRIBUTES OTEL_SERVICE_NAME',
  browsers: 'EventSource HttpOnly',
  Next: 'middleware.ts proxy.ts',
  Node: 'HTTP_PROXY HTTPS_PROXY NO_PROXY',
  'an example of a name': 'data_pipeli data_pipelines',
};
const ofOthers = new Set(Object.values(OF_OTHERS).flatMap((names) => names.split(' ')));

/** What the documents have in backticks, without blocks of code, with the first place of each. */
const named = new Map(
  documents.flatMap((document) =>
    Array.from(
      read(document)
        .replace(/^ *```.*?^ *```/gms, '')
        .matchAll(/(?<!`)`([^`]+)`(?!`)/g),
      ([, name]) => [name!.replace(/\s+/g, ' '), document],
    ),
  ),
);
const missing = (isKind: RegExp, isThere: (name: string) => boolean) => {
  const found = [...named].filter(([name]) => isKind.test(name));
  expect(found.length).toBeGreaterThan(20);
  return found.filter(([name]) => !isThere(name)).map(([name, document]) => `${document}: ${name}`);
};

describe('each name in backticks in the documents exists:', () => {
  it('files and folders', () => {
    const isThere = (name: string) =>
      existsSync(join(root, name.split(' › ')[0]!.replace('NNNN-title', '0001-who-may-import-whom')));
    expect(missing(/^(apps|libs|test|docs)\//, isThere)).toEqual([]);
  });

  it('routes', () => {
    const operations = routeTable.map(({ route: { method, path } }) => `${method} ${pathTemplate(path)}`);
    const plain = (operation: string) => operation.replace(/\?.*/, '').replace(/\{\w+\}/g, '{}');
    // A gateway may ask with any method.
    const known = new Set(['GET /authz', ...operations.map(plain)]);
    expect(missing(/^(GET|POST|PATCH|PUT|DELETE) \//, (name) => known.has(plain(name)))).toEqual([]);
  });

  it('settings, fields, codes, events, tables, metrics and names of the code', () => {
    // One word with an underscore or a capital letter within, or several words with dots or colons between.
    const isName = /^(?=.*(_|[a-z][A-Z]|[.:]))(?!.*(_$|YYYY))[A-Za-z]\w*([.:]\w+)*$/;
    // Each filter has an opposite, whose name is made from it.
    const isThere = (name: string) => name.split(/[.:]/).every((word) => words.has(word.replace(/^not_/, '')));
    const found = missing(isName, (name) => ofOthers.has(name) || isThere(name));
    // That page also names parts of tests.
    expect(found.filter((place) => !place.startsWith('CONTRIBUTING.md'))).toEqual([]);
    expect([...ofOthers].filter((name) => !named.has(name))).toEqual([]);
  });
});
