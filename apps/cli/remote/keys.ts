import type { Client } from '#libs/client/client.js';
import { keyTextNames, keyTexts, type KeyTexts } from '#libs/contract/api-key-texts.js';
import { isId } from '#libs/contract/ids.js';
import { formatRateLimit, type RateLimit } from '#libs/contract/rate-limits.js';
import type { CommandProcess } from '../command-process.js';
import { EXIT_OUTPUT, EXIT_REFUSED, EXIT_USAGE } from '../exit-codes.js';
import { ask, canAsk } from './ask.js';
import { connect } from './connection.js';
import { formatDuration } from './durations.js';
import { Failure } from './failure.js';
import { textOption } from './key-text-options.js';
import { readPages, showPage, type PageOptions } from './lists.js';
import { json, note, write } from './output.js';
import { card, type Colour, type Column, type Field } from './table.js';
import { localTime, printable } from './text.js';

type ApiKey = Awaited<ReturnType<Client['apiKeys']['get']>>;
type ApiKeyWithSecret = ApiKey & { readonly key: string };
type ListQuery = NonNullable<NonNullable<Parameters<Client['apiKeys']['list']>[0]>['query']>;

interface JsonOption {
  readonly json?: boolean;
}

export interface ListKeysOptions extends PageOptions {
  readonly organization?: string;
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
  const { status, environment, search, sort } = options;
  const query = {
    organization_id: options.organization,
    project_id: options.project,
    status,
    environment,
    search,
    unused_for_days: options.unusedFor,
    sort,
  };
  const page = await readPages(options, (part) => api.apiKeys.list({ query: { ...query, ...part } }));
  await showPage(host, page, COLUMNS, 'API keys', options);
}

/** The options that set the texts of a key, such as `--external-id`. */
type TextOptions = Readonly<Record<string, unknown>>;

export interface CreateKeyOptions extends JsonOption, TextOptions {
  readonly scope?: string[];
  readonly organization?: string;
  readonly project?: string;
  readonly environment?: ApiKey['environment'];
  /** In days; null for never. */
  readonly expires?: number | null;
  readonly allowedIp?: string[];
  readonly rateLimit?: RateLimit[];
}

/** The API would give the key every scope that its creator may grant, which is more than most keys need. */
const NO_SCOPE =
  'Say what the key may do, with --scope for each scope: `keyledger scopes` lists them, and their halves may be *.';

/** A key that lives on only because nobody thinks of it is a risk, so `never` has to be asked for. */
const EXPIRES_IN_DAYS = 90;

export async function createKey(name: string, options: CreateKeyOptions, host: CommandProcess): Promise<void> {
  if (options.scope === undefined) throw new Failure(NO_SCOPE, EXIT_USAGE);
  const created = await connect(host.env).apiKeys.create({
    body: {
      name,
      ...textsOf(options),
      scopes: options.scope,
      organization_id: options.organization,
      project_id: options.project,
      environment: options.environment,
      expires_in_days: options.expires === undefined ? EXPIRES_IN_DAYS : (options.expires ?? undefined),
      allowed_ips: options.allowedIp,
      rate_limits: options.rateLimit,
    },
  });
  await showSecret(host, created, options);
}

export interface UpdateKeyOptions extends JsonOption, TextOptions {
  readonly name?: string;
}

export async function updateKey(id: string, options: UpdateKeyOptions, host: CommandProcess): Promise<void> {
  const body = { ...textsOf(options), ...(options.name !== undefined && { name: options.name }) };
  if (Object.keys(body).length === 0) throw new Failure('No change was given: see --help.', EXIT_USAGE);
  const changed = await connect(host.env).apiKeys.update({ params: { id: keyId(id) }, body });
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

/** As in the dashboard: long enough for a release of the programs that have the old secret. */
const GRACE_SECONDS = 86_400;

export async function rotateKey(
  id: string,
  options: JsonOption & { /** In seconds. */ readonly grace?: number },
  host: CommandProcess,
): Promise<void> {
  const { grace = GRACE_SECONDS } = options;
  const body = { grace_period_seconds: grace };
  await showSecret(host, await connect(host.env).apiKeys.rotate({ params: { id: keyId(id) }, body }), options);
  note(
    host,
    grace === 0 ? 'The old secret no longer works.' : `The old secret works for another ${formatDuration(grace)}.`,
  );
}

/**
 * Ids become part of URLs, which servers log. A user may pass a key by mistake, so any other text is rejected.
 * @throws Failure that does not repeat the text
 */
export function keyId(text: string): string {
  if (isId('key', text)) return text;
  throw new Failure(
    'The id of an API key is required, such as key_01h455vb4pex5vsknk084sn02q: `keyledger keys list` shows the ids, and ' +
      'its --search finds a key by its beginning.',
    EXIT_USAGE,
  );
}

/**
 * Prints the secret, which is shown only once. In a pipe, stdout has only the secret, so `$( )` captures nothing else.
 */
async function showSecret(host: CommandProcess, apiKey: ApiKeyWithSecret, options: JsonOption): Promise<void> {
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

function fieldsOf(apiKey: ApiKey): Field[] {
  return [
    ['ID', apiKey.id],
    ['Name', apiKey.name],
    ['Status', apiKey.status],
    ['Organization', apiKey.organization_id],
    ['Project', apiKey.project_id ?? '-'],
    ['Environment', apiKey.environment],
    ['Public key', apiKey.public_key],
    ...keyTextNames.map((name): Field => [keyTexts[name].label, apiKey[name] ?? '-']),
    ['Scopes', apiKey.scopes.join(', ')],
    ['Allowed IPs', apiKey.allowed_ips.join(', ') || 'every address'],
    ['Rate limits', apiKey.rate_limits.map(formatRateLimit).join(', ') || 'none'],
    ['Created', localTime(apiKey.created_at)],
    ['Expires', apiKey.expires_at === null ? 'never' : localTime(apiKey.expires_at)],
  ];
}

export async function disableKey(id: string, options: JsonOption, host: CommandProcess): Promise<void> {
  await showChanged(host, await connect(host.env).apiKeys.disable({ params: { id: keyId(id) } }), options);
}

export async function enableKey(id: string, options: JsonOption, host: CommandProcess): Promise<void> {
  await showChanged(host, await connect(host.env).apiKeys.enable({ params: { id: keyId(id) } }), options);
}

/** A revocation is final, so the user has to confirm it, at the prompt or with `--yes`. */
export async function revokeKey(
  id: string,
  options: JsonOption & { readonly yes?: boolean },
  host: CommandProcess,
): Promise<void> {
  const api = connect(host.env);
  const params = { id: keyId(id) };
  if (!options.yes) await confirmRevocation(host, api, params);
  await showChanged(host, await api.apiKeys.revoke({ params }), options);
}

async function confirmRevocation(host: CommandProcess, api: Client, params: { readonly id: string }): Promise<void> {
  if (!canAsk(host)) {
    throw new Failure('Revoking cannot be undone. Without a terminal, confirm it with --yes.', EXIT_USAGE);
  }
  const { id, name } = await api.apiKeys.get({ params });
  const answer = await ask(host, `Revoke ${id} (${printable(name)})? This cannot be undone. [y/N] `);
  if (!/^y(es)?$/i.test(answer.trim())) throw new Failure('Nothing was revoked.', EXIT_REFUSED);
}

async function showChanged(host: CommandProcess, apiKey: ApiKey, options: JsonOption): Promise<void> {
  await write(
    host,
    options.json ? json(host, apiKey) : `${apiKey.id} (${printable(apiKey.name)}) is ${apiKey.status}.\n`,
  );
}
