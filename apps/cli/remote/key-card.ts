import type { Client } from '#libs/client/client.js';
import { keyTextNames, keyTexts } from '#libs/contract/api-key-texts.js';
import { formatRateLimit } from '#libs/contract/rate-limits.js';
import type { Names } from './display-names.js';
import type { Field } from './table.js';
import { localTime } from './text.js';

export type ApiKey = Awaited<ReturnType<Client['apiKeys']['get']>>;
type Secret = Awaited<ReturnType<Client['apiKeys']['listSecrets']>>['data'][number];

/**
 * A key with a line for each field.
 * @param names of its organization and its project
 */
export function fieldsOf(apiKey: ApiKey, names: Names = new Map()): Field[] {
  const named = (id: string) => (names.has(id) ? `${names.get(id)} (${id})` : id);
  return [
    ['ID', apiKey.id],
    ['Name', apiKey.name],
    ['Status', apiKey.status],
    ['Organization', named(apiKey.organization_id)],
    ['Project', apiKey.project_id === null ? '-' : named(apiKey.project_id)],
    ['Environment', apiKey.environment],
    ['Public key', apiKey.public_key],
    ...(apiKey.imported ? [['Secret', 'imported; a rotation replaces it'] satisfies Field] : []),
    ...keyTextNames.map((name): Field => [keyTexts[name].label, apiKey[name] ?? '-']),
    ['Scopes', apiKey.scopes.join(', ')],
    ['Allowed IPs', apiKey.allowed_ips.join(', ') || 'every address'],
    ['Rate limits', apiKey.rate_limits.map(formatRateLimit).join(', ') || 'none'],
    ['Created', localTime(apiKey.created_at)],
    ['Expires', apiKey.expires_at === null ? 'never' : localTime(apiKey.expires_at)],
    ...leakOf(apiKey),
    ...(apiKey.disables_if_unused_at === null
      ? []
      : [['Disabled if unused', localTime(apiKey.disables_if_unused_at)] as const]),
    ...(apiKey.policy_breaches.length === 0
      ? []
      : [['Breaks the key policy', apiKey.policy_breaches.join(', ')] as const]),
  ];
}

function leakOf({ leak }: ApiKey): Field[] {
  if (!leak) return [];
  const { at, source, url } = leak;
  return [['Leaked', [`reported ${localTime(at)}`, source && `by ${source}`, url].filter(Boolean).join(', ')]];
}

/** What a key has done so far. */
export function usesOf(apiKey: ApiKey): Field[] {
  return [
    ['Uses', String(apiKey.usage_count)],
    ['Last used', apiKey.last_used_at === null ? 'never' : localTime(apiKey.last_used_at)],
  ];
}

/** The secrets of a key that still work, by their ids. */
export function secretsOf(secrets: readonly Secret[]): Field[] {
  return secrets.map(({ id, ends_at: end }) => ['Secret', end === null ? id : `${id}, until ${localTime(end)}`]);
}
