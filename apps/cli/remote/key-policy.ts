import type { Client } from '#libs/client/client.js';
import type { CommandProcess } from '../command-process.js';
import { EXIT_USAGE } from '../exit-codes.js';
import { connect } from './connection.js';
import { Failure } from './failure.js';
import { readPages, showPage, type PageOptions } from './lists.js';
import { organizationOf } from './organizations.js';
import { json, note, write } from './output.js';
import { card, type Column } from './table.js';
import { localTime } from './text.js';

type Policy = Awaited<ReturnType<Client['keyPolicy']['get']>>;
type Preview = Awaited<ReturnType<Client['keyPolicy']['preview']>>;
type ApiKey = Awaited<ReturnType<Client['apiKeys']['get']>>;

interface PolicyOptions {
  readonly organization?: string;
  readonly json?: boolean;
}

export async function showKeyPolicy(options: PolicyOptions, host: CommandProcess): Promise<void> {
  const api = connect(host.env);
  const params = { id: await organizationOf(api, host.env, options.organization) };
  const policy = await api.keyPolicy.get({ params });
  await write(host, options.json ? json(host, policy) : cardOf(params.id, policy));
}

/** The rules to change. `false` and `none` remove a rule. */
interface Rules {
  readonly requireExpiry?: boolean;
  readonly maxLifetime?: number | 'none';
  readonly environment?: 'test' | 'live' | 'any';
  readonly allowedIp?: string[] | false;
  readonly disableUnused?: number | 'none';
}

const PREVIEWED: readonly Column<Preview['data'][number]>[] = [
  { title: 'ID', value: ({ id }) => id },
  { title: 'NAME', value: ({ name }) => name, shrinksTo: 12 },
  { title: 'STATUS', value: ({ status }) => status, expendable: 1 },
  { title: 'WHY', value: ({ reasons }) => reasons.join(', '), shrinksTo: 20 },
];

export async function setKeyPolicy(
  options: PolicyOptions & Rules & { readonly dryRun?: boolean },
  host: CommandProcess,
): Promise<void> {
  const body = patchOf(options);
  if (Object.keys(body).length === 0) throw new Failure('No change was given: see --help.', EXIT_USAGE);
  const api = connect(host.env);
  const params = { id: await organizationOf(api, host.env, options.organization) };
  const preview = await readPages(options.dryRun ? { all: true } : { limit: 1 }, (page) =>
    api.keyPolicy.preview({ params, body: { ...body, ...page } }),
  );
  if (options.dryRun) {
    await showPage(host, preview, PREVIEWED, 'keys that would break it', options);
    if (preview.unused > 0) note(host, `Unused keys that would be disabled within a week: ${preview.unused}.`);
    return;
  }
  const policy = await api.keyPolicy.update({ params, body });
  await write(host, options.json ? json(host, policy) : cardOf(params.id, policy));
  if (preview.total > 0)
    note(host, `Keys that break it: ${preview.total}; \`keyledger key-policy report\` lists them.`);
}

const BREAKING: readonly Column<ApiKey>[] = [
  { title: 'ID', value: ({ id }) => id },
  { title: 'NAME', value: ({ name }) => name, shrinksTo: 12 },
  { title: 'STATUS', value: ({ status }) => status },
  { title: 'BREAKS', value: ({ policy_breaches }) => policy_breaches.join(', ') },
];

export async function reportKeyPolicy(options: PolicyOptions & PageOptions, host: CommandProcess): Promise<void> {
  const api = connect(host.env);
  const organization_id = await organizationOf(api, host.env, options.organization);
  const page = await readPages(options, (query) =>
    api.apiKeys.list({ query: { organization_id, breaks_policy: 'true', sort: 'created_at', ...query } }),
  );
  await showPage(host, page, BREAKING, 'keys that break the policy', options);
}

function patchOf({ requireExpiry, maxLifetime, environment, allowedIp, disableUnused }: Rules) {
  return {
    ...(requireExpiry !== undefined && { require_expiry: requireExpiry }),
    ...(maxLifetime !== undefined && { max_lifetime_days: daysOf(maxLifetime) }),
    ...(environment && { environments: environment === 'any' ? null : [environment] }),
    ...(allowedIp !== undefined && { allowed_ips: allowedIp || null }),
    ...(disableUnused !== undefined && { disable_unused_after_days: daysOf(disableUnused) }),
  };
}

function daysOf(given: number | 'none'): number | null {
  return given === 'none' ? null : given;
}

function cardOf(organizationId: string, policy: Policy): string {
  const { disable_unused_after_days: unused, disable_unused_from: from } = policy;
  return card([
    ['Organization', organizationId],
    ['Expiry', policy.require_expiry ? 'required' : 'not required'],
    ['Maximum lifetime', policy.max_lifetime_days === null ? 'no limit' : `${policy.max_lifetime_days}d`],
    ['Environments', policy.environments?.join(', ') ?? 'every environment'],
    ['Allowed IPs within', policy.allowed_ips?.join(', ') ?? 'every address'],
    ['Unused keys', unused === null ? 'stay active' : `disabled after ${unused}d`],
    ...(from ? [['Not before', localTime(from)] as const] : []),
  ]);
}
