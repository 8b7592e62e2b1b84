import type { CommandProcess } from '../command-process.js';
import { ApiError, type Client } from '#libs/client/client.js';
import { EXIT_USAGE } from '../exit-codes.js';
import { ask, askSecret, canAsk, NO_SECRET_ARGUMENTS } from './ask.js';
import {
  anonymously,
  as,
  askApiKey,
  connect,
  serverUrl,
  sessionOf,
  signIn,
  VARIABLE,
  withApiKey,
  type SignIn,
} from './connection.js';
import { CredentialStore, type Credentials } from './credentials.js';
import { Failure } from './failure.js';
import { findId } from './find-id.js';
import { ownOrganization } from './organizations.js';
import { json, note, write } from './output.js';
import { isOpenToReaders, plainUrl, URL_ADVICE } from './server-url.js';
import { card, type Field } from './table.js';
import { localTime, printable } from './text.js';

export interface LoginOptions {
  readonly url?: string;
  readonly email?: string;
  readonly apiKey?: boolean;
  readonly json?: boolean;
}

export async function login(options: LoginOptions, args: readonly string[], host: CommandProcess): Promise<void> {
  if (args.length > 0) throw new Failure(NO_SECRET_ARGUMENTS, EXIT_USAGE);
  const store = new CredentialStore(host.env);
  const url = optionUrl(options.url) ?? serverUrl(host.env);
  if (isOpenToReaders(url)) note(host, `Warning: requests to ${url} are not encrypted; use https.`);
  const credentials = options.apiKey ? await byApiKey(host, url) : await byPassword(host, url, options.email);
  const before = store.read();
  await store.exclusively(async () => store.write(credentials));
  const api = as(credentials, store);
  const who = await api.auth.whoami();
  if (before && 'organization' in before && before.url === url) await keepOrganization(api, store, before.organization);
  if (options.json) await write(host, json(host, who));
  note(host, `Signed in at ${url} as ${nameOf(who)}; the credential is in ${store.file}.`);
  if (host.env[VARIABLE]) note(host, `While ${VARIABLE} is set, that key is used instead.`);
}

/** After another sign-in at the same server, unless the account may not read the organization. */
async function keepOrganization(api: Client, store: CredentialStore, id: string | undefined): Promise<void> {
  if (id === undefined) return;
  try {
    await api.organizations.get({ params: { id } });
  } catch (error) {
    if (error instanceof ApiError) return;
    throw error;
  }
  await storeOrganization(store, id);
}

async function storeOrganization(store: CredentialStore, organization: string | undefined): Promise<void> {
  await store.exclusively(async () => {
    const kept = store.read();
    if (!kept || 'api_key' in kept) throw new Failure(NEEDS_SESSION, EXIT_USAGE);
    store.write({ ...kept, organization });
  });
}

const NEEDS_SESSION =
  'An API key always uses its own organization: sign in with `keyledger login` and a password to choose one.';

export interface UseOptions {
  readonly personal?: boolean;
  readonly json?: boolean;
}

/** Sets the default organization of the session. */
export async function useOrganization(
  text: string | undefined,
  options: UseOptions,
  host: CommandProcess,
): Promise<void> {
  if ((text === undefined) === !options.personal) {
    throw new Failure('Give the name or the id of an organization, or --personal.', EXIT_USAGE);
  }
  const { credentials } = signIn(host.env);
  if ('api_key' in credentials) throw new Failure(NEEDS_SESSION, EXIT_USAGE);
  const store = new CredentialStore(host.env);
  const api = as(credentials, store);
  const id = text === undefined ? await ownOrganization(api) : await findId(api, ['organization'], text);
  const organization = await api.organizations.get({ params: { id } });
  await storeOrganization(store, text === undefined ? undefined : id);
  if (options.json) return write(host, json(host, organization));
  await write(host, `Commands are about ${printable(organization.name)} (${id}) now, unless they name another one.\n`);
}

function optionUrl(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const url = plainUrl(text);
  if (url) return url;
  throw new Failure(`--url ${URL_ADVICE}.`, EXIT_USAGE);
}

/** Checks the key with the server before storing it. */
async function byApiKey(host: CommandProcess, url: string): Promise<Credentials> {
  const apiKey = await askApiKey(host);
  await withApiKey(url, apiKey).auth.whoami();
  return { url, api_key: apiKey };
}

async function byPassword(host: CommandProcess, url: string, givenEmail: string | undefined): Promise<Credentials> {
  const email = givenEmail ?? (await askEmail(host, url));
  const password = await askSecret(host, 'password');
  return sessionOf(url, await anonymously(url).auth.login({ body: { email, password } }));
}

async function askEmail(host: CommandProcess, url: string): Promise<string> {
  if (canAsk(host)) return ask(host, `Email at ${url}: `);
  throw new Failure('Without a terminal, the email is required: add --email EMAIL.', EXIT_USAGE);
}

/** Removes the stored credential even if the server cannot be reached. */
export async function logout(options: { readonly json?: boolean }, host: CommandProcess): Promise<void> {
  const store = new CredentialStore(host.env);
  const kept = store.read();
  if (options.json) await write(host, json(host, { url: kept?.url ?? null }));
  if (!kept) return note(host, 'You are not signed in.');
  try {
    if (!('api_key' in kept)) await endSession(as(kept, store));
  } catch (error) {
    note(host, `The session at ${kept.url} could not be ended. It expires later.`);
    throw error;
  } finally {
    await store.exclusively(async () => store.remove());
    note(host, `Signed out: ${store.file} is removed.`);
  }
}

/** A 401 means that the session has already ended, which is the goal. */
async function endSession(api: Client): Promise<void> {
  try {
    await api.auth.logout();
  } catch (error) {
    if (!(error instanceof ApiError && error.problem.status === 401)) throw error;
  }
}

type Whoami = Awaited<ReturnType<Client['auth']['whoami']>>;

export async function whoami(options: { readonly json?: boolean }, host: CommandProcess): Promise<void> {
  const store = new CredentialStore(host.env);
  const mine = signIn(host.env);
  const api = as(mine.credentials, store);
  const response = await api.auth.whoami();
  if (options.json) return write(host, json(host, response));
  const { credentials } = mine;
  const organization = 'api_key' in credentials ? undefined : credentials.organization;
  const chosen = organization === undefined ? [] : await organizationField(api, organization);
  await write(host, card([...fieldsOf(response), ...chosen, ...originOf(mine)]));
}

export async function renameAccount(
  name: string,
  options: { readonly json?: boolean },
  host: CommandProcess,
): Promise<void> {
  const account = await connect(host.env).auth.updateAccount({ body: { name } });
  await write(host, options.json ? json(host, account) : card(accountFields(account)));
}

async function organizationField(api: Client, id: string): Promise<Field[]> {
  try {
    const { name } = await api.organizations.get({ params: { id } });
    return [['Organization', `${name} (${id})`]];
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return [['Organization', `${id} (${error.problem.code})`]];
  }
}

function originOf({ url, source }: SignIn): Field[] {
  return [
    ['Server', url],
    ['Credential', source],
  ];
}

function nameOf(who: Whoami): string {
  return who.type === 'user' ? who.user.email : `the API key ${printable(who.api_key.name)} (${who.api_key.id})`;
}

function accountFields({ id, email, name }: { id: string; email: string; name: string }): Field[] {
  return [
    ['User', id],
    ['Email', email],
    ['Name', name],
  ];
}

function fieldsOf(who: Whoami): Field[] {
  if (who.type === 'user') {
    return [...accountFields(who.user), ['Operator', who.user.operator ? 'yes' : 'no']];
  }
  const { id, name, organization_id, project_id, environment, scopes, expires_at } = who.api_key;
  return [
    ['API key', id],
    ['Name', name],
    ['Organization', organization_id],
    ['Project', project_id ?? '-'],
    ['Environment', environment],
    ['Scopes', scopes.join(', ')],
    ['Expires', localTime(expires_at)],
  ];
}
