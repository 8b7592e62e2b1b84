import type { Client } from '#libs/client/client.js';
import { keyTextNames, type KeyTexts } from '#libs/contract/api-key-texts.js';
import type { RateLimit } from '#libs/contract/rate-limits.js';
import type { CommandProcess } from '../command-process.js';
import { EXIT_OUTPUT, EXIT_USAGE } from '../exit-codes.js';
import { connect } from './connection.js';
import { displayNames } from './display-names.js';
import { Failure } from './failure.js';
import { findId, findOptionalId } from './find-id.js';
import { fieldsOf, secretsOf, usesOf, type ApiKey } from './key-card.js';
import { textOption } from './key-text-options.js';
import { readPages, showPage, type PageOptions } from './lists.js';
import { nameOrganizations, organizationColumn } from './organization-column.js';
import { chosenOrganization, listedOrganization, type WhichOrganizations } from './organizations.js';
import { json, note, write } from './output.js';
import { card, type Colour, type Column } from './table.js';
import { localTime } from './text.js';

type ApiKeyWithSecret = ApiKey & { readonly key: string };
type ListQuery = NonNullable<NonNullable<Parameters<Client['apiKeys']['list']>[0]>['query']>;

/** The options of every command about one key. */
export interface KeyOptions {
  readonly organization?: string;
  readonly json?: boolean;
}

/**
 * The id of a key, by its id or its name. A name is searched for in the chosen organization, or else in all.
 * @throws Failure
 */
export async function findKey(
  api: Client,
  text: string,
  { organization }: Pick<KeyOptions, 'organization'>,
  { env }: CommandProcess,
): Promise<{ readonly id: string }> {
  return { id: await findId(api, ['key'], text, await chosenOrganization(api, env, organization)) };
}

export interface ListKeysOptions extends PageOptions, WhichOrganizations {
  readonly project?: string;
  readonly status?: ApiKey['status'];
  readonly environment?: ApiKey['environment'];
  readonly search?: string;
  /** In days. */
  readonly unusedFor?: number;
  readonly sort?: NonNullable<ListQuery['sort']>;
}

const STATUS_COLOURS: Record<ApiKey['status'], Colour> = {
  active: 'green',
  disabled: 'yellow',
  expired: 'red',
  revoked: 'red',
};

const COLUMNS: readonly Column<ApiKey>[] = [
  { title: 'ID', value: ({ id }) => id },
  { title: 'NAME', value: ({ name }) => name, shrinksTo: 12 },
  { title: 'STATUS', value: ({ status }) => status, colour: ({ status }) => STATUS_COLOURS[status] },
  { title: 'ENVIRONMENT', value: ({ environment }) => environment, expendable: 3 },
  { title: 'PREFIX', value: ({ prefix }) => prefix, expendable: 5 },
  { title: 'SCOPES', value: ({ scopes }) => scopes.join(','), shrinksTo: 20, expendable: 6 },
  { title: 'USES', value: ({ usage_count }) => String(usage_count), align: 'right', expendable: 2 },
  { title: 'LAST USED', value: ({ last_used_at }) => localTime(last_used_at), expendable: 1 },
  // A revoked key no longer expires.
  {
    title: 'EXPIRES',
    value: ({ status, expires_at }) => (status === 'revoked' ? '-' : localTime(expires_at)),
    expendable: 4,
  },
];

export async function listKeys(options: ListKeysOptions, host: CommandProcess): Promise<void> {
  const api = connect(host.env);
  const { status, environment, search, sort, project } = options;
  const organization = await listedOrganization(api, host.env, options);
  const query = {
    organization_id: organization,
    project_id: await findOptionalId(api, 'project', project, organization),
    status,
    environment,
    search,
    unused_for_days: options.unusedFor,
    sort,
  };
  const page = await readPages(options, (part) => api.apiKeys.list({ query: { ...query, ...part } }));
  const names = await nameOrganizations(api, options);
  await showPage(host, page, names ? COLUMNS.toSpliced(2, 0, organizationColumn(names)) : COLUMNS, 'API keys', options);
}

/** The options that set the texts of a key, such as `--external-id`. */
type TextOptions = Readonly<Record<string, unknown>>;

export interface CreateKeyOptions extends KeyOptions, TextOptions {
  readonly scope?: string[];
  readonly project?: string;
  readonly environment?: ApiKey['environment'];
  /** In days. */
  readonly expires?: number | 'never';
  readonly allowedIp?: string[];
  readonly rateLimit?: RateLimit[];
}

/** The API would give the key every scope that its creator may grant, which is more than most keys need. */
const NO_SCOPE =
  'Say what the key may do, with --scope for each scope: `keyledger scopes` lists them, and their halves may be *.';

/** A forgotten key that never expires is a risk, so `never` must be given explicitly. */
const EXPIRES_IN_DAYS = 90;

export async function createKey(name: string, options: CreateKeyOptions, host: CommandProcess): Promise<void> {
  if (options.scope === undefined) throw new Failure(NO_SCOPE, EXIT_USAGE);
  const api = connect(host.env);
  const organization = await chosenOrganization(api, host.env, options.organization);
  const { project, expires = EXPIRES_IN_DAYS } = options;
  const created = await api.apiKeys.create({
    body: {
      name,
      ...textsOf(options),
      scopes: options.scope,
      organization_id: organization,
      project_id: await findOptionalId(api, 'project', project, organization),
      environment: options.environment,
      expires_in_days: expires === 'never' ? undefined : expires,
      allowed_ips: options.allowedIp,
      rate_limits: options.rateLimit,
    },
  });
  await showSecret(host, created, options);
}

export async function showKey(text: string, options: KeyOptions, host: CommandProcess): Promise<void> {
  const api = connect(host.env);
  const params = await findKey(api, text, options, host);
  const apiKey = await api.apiKeys.get({ params });
  if (options.json) return write(host, json(host, apiKey));
  const { data: secrets } = await api.apiKeys.listSecrets({ params });
  const { organization_id: organization, project_id: project } = apiKey;
  const ids = new Set([organization, ...(project === null ? [] : [project])]);
  const names = await displayNames(api, host.env, ids);
  await write(host, card([...fieldsOf(apiKey, names), ...usesOf(apiKey), ...secretsOf(secrets)]));
}

export interface UpdateKeyOptions extends KeyOptions, TextOptions {
  readonly name?: string;
  readonly scope?: string[];
  /** A time, or `never`. */
  readonly expires?: string;
  /** False removes all entries, as does an empty list. */
  readonly allowedIp?: string[] | false;
  readonly rateLimit?: RateLimit[] | false;
}

export async function updateKey(text: string, options: UpdateKeyOptions, host: CommandProcess): Promise<void> {
  const { name, scope: scopes, expires, allowedIp, rateLimit } = options;
  const fields = {
    name,
    scopes,
    expires_at: expires === 'never' ? null : expires,
    allowed_ips: allowedIp === false ? [] : allowedIp,
    rate_limits: rateLimit === false ? [] : rateLimit,
  };
  const given = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
  const body = { ...textsOf(options), ...given };
  if (Object.keys(body).length === 0) throw new Failure('No change was given: see --help.', EXIT_USAGE);
  const api = connect(host.env);
  const changed = await api.apiKeys.update({ params: await findKey(api, text, options, host), body });
  await write(host, options.json ? json(host, changed) : card(fieldsOf(changed)));
}

/** The texts that the options set. Null removes a text. */
function textsOf(options: TextOptions): Partial<KeyTexts> {
  return Object.fromEntries(
    keyTextNames.flatMap((name) => {
      const text = options[textOption(name).attributeName()] as string | false | undefined;
      return text === undefined ? [] : [[name, text || null]];
    }),
  );
}

/**
 * Prints the secret, which is shown only once. In a pipe, stdout has only the secret, so `$( )` captures nothing else.
 */
export async function showSecret(host: CommandProcess, apiKey: ApiKeyWithSecret, options: KeyOptions): Promise<void> {
  const details = card(fieldsOf(apiKey));
  try {
    if (options.json) await write(host, json(host, apiKey));
    else if (host.stdout.isTTY) await write(host, `${details}\n${apiKey.key}\n\n`);
    else {
      host.stderr.write(details);
      await write(host, `${apiKey.key}\n`);
    }
  } catch {
    throw new Failure(
      `The secret of ${apiKey.id} could not be written and is lost: \`keyledger keys rotate ${apiKey.id} --grace none\` creates a new one.`,
      EXIT_OUTPUT,
    );
  }
  note(host, 'The key is shown only once: store it now.');
}
