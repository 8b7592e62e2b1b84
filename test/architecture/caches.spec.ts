import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import type Ts from 'typescript';
import { builtModule } from '../support/built-module.js';

const { default: ts } = await builtModule<{ default: typeof import('typescript') }>('typescript');

const root = join(import.meta.dirname, '../..');

/**
 * Collections that a process keeps, and what bounds each one. Where callers decide the size of an entry, an LRUCache
 * bounds the bytes.
 */
const BOUNDED: Readonly<Record<string, string>> = {
  'apps/api/api-processes.ts #running': 'API_PROCESSES, and one that replaces another',
  'libs/admission/admission.ts #reach': 'uses that wait for admission',
  'libs/admission/state-bound-cache.ts #byId': 'the entries of the cache',
  'libs/admission/state-bound-cache.ts #byShard': 'the entries of the cache',
  'libs/admission/state-bound-cache.ts #loading': 'requests under way',
  'libs/api-keys/api-key-import.service.ts #codes': 'the codes of problems',
  'libs/api-keys/verification/allowed-origins.ts #asking': 'statements that run or wait, of which there are 102',
  'libs/api-keys/verification/denial-windows.ts #tenants': 'windows and bytes, of one organization and of all',
  'libs/api-keys/verification/secrets.ts #running': 'requests under way',
  'libs/api-keys/verification/secrets.ts #upgrading': '10,000 secrets',
  'libs/audit/audit-tails.ts #watches': 'open responses',
  'libs/audit/audit-writer.ts #logs': 'one batch',
  'libs/audit/event-counts.ts #counts': 'the types of events, and the codes of denials',
  'libs/audit/terms.ts #addresses': 'the addresses of one bundle',
  'libs/audit/terms.ts #paths': 'the paths of one bundle',
  'libs/audit/witnessing.ts #reported': 'the witnesses in the settings',
  'libs/auth/access-tokens.ts #public': 'the signing keys in the database',
  'libs/client/client.ts entityTags': 'responses that the caller still holds',
  'libs/contract/idempotency.ts known': 'the schemas of the contract',
  'libs/contract/ids.ts read': '20,000 ids, all of one length',
  'libs/nest/guards.ts #accepted': 'requests that the service still handles',
  'libs/organizations/operator-reads.ts #gathering': 'requests under way, for a second at the most',
  'libs/outbox/outbox-notifier.ts #pending': 'the groups of shards',
  'libs/outbox/outbox-notifier.ts #flushing': 'the groups of shards',
  'libs/platform/fair-queue.ts #flows': 'the changes that run or wait, which the queue bounds',
  'libs/platform/http/direct-server.ts #selective': 'the routes with a short way',
  'libs/platform/http/open-streams.ts #open': 'open responses',
  'libs/platform/http/proxies.ts #peers': '1,000 addresses',
  'libs/platform/http/unknown-proxies.ts #peers': '10 addresses',
  'libs/platform/metrics.ts #reads': 'the metrics',
  'libs/platform/redact.ts #known': 'the text that is searched',
  'libs/platform/sealing.ts #keys': 'the purposes in the code',
  'libs/platform/setting-words.ts #meanings': 'the words of the settings and their synonyms',
  'libs/replay/replay.ts #sizes': 'the organizations, while a command runs',
  'libs/replay/state.ts #kinds': 'the objects of one organization, while a command runs',
  'libs/usage/usage-counts.ts #keys': 'one batch, or a bound of the check',
  'libs/usage/verification-counts.ts #counts': 'one batch',
  'libs/verify/callers.ts callers': 'requests that the service still handles',
};

interface Found {
  readonly caches: { readonly place: string; readonly options: readonly string[] }[];
  readonly collections: string[];
}

function search(): Found {
  const found: Found = { caches: [], collections: [] };
  for (const file of globSync('{apps/api,libs}/**/*.ts', { cwd: root }).toSorted()) {
    if (file.endsWith('.spec.ts')) continue;
    const source = ts.createSourceFile(file, readFileSync(join(root, file), 'utf8'), ts.ScriptTarget.Latest, true);
    const visit = (node: Ts.Node): void => {
      if (ts.isNewExpression(node)) note(node, file, found);
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  return found;
}

function note(node: Ts.NewExpression, file: string, { caches, collections }: Found): void {
  const made = node.expression.getText();
  if (made === 'LRUCache') {
    const [options] = node.arguments ?? [];
    const names = options && ts.isObjectLiteralExpression(options) ? options.properties : [];
    caches.push({ place: file, options: [...names].map((property) => property.name?.getText() ?? '…') });
  }
  if (!['Map', 'Set', 'WeakMap'].includes(made) || (node.arguments?.length ?? 0) > 0) return;
  const name = keptAs(node);
  if (name) collections.push(`${file} ${name}`);
}

/** The name of the field or module constant that keeps the collection for as long as the process runs. */
function keptAs(node: Ts.Node): string | undefined {
  const { parent } = node;
  if (ts.isPropertyDeclaration(parent)) return parent.name.getText();
  if (!ts.isVariableDeclaration(parent)) return undefined;
  const isOfModule = ts.isSourceFile(parent.parent.parent.parent);
  return isOfModule ? parent.name.getText() : undefined;
}

const BOUND = ['maxSize', 'sizeCalculation'];
const { caches, collections } = search();

it('every cache is bounded in bytes, because callers determine the size of an entry', () => {
  const unbounded = caches.filter(({ options }) => !BOUND.every((option) => options.includes(option)));
  expect(unbounded).toEqual([]);
  expect(caches.length).toBeGreaterThan(5);
});

it('every other long-lived collection has its own bound', () => {
  expect(collections).toEqual(Object.keys(BOUNDED));
});
