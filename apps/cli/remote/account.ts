import type { CommandProcess } from '../command-process.js';
import { ApiError, type Client } from '#libs/client/client.js';
import { EXIT_USAGE } from '../exit-codes.js';
import { ask, askSecret, canAsk } from './ask.js';
import {
  anonymously,
  as,
  givenUrl,
  looksLikeApiKey,
  sessionOf,
  signIn,
  VARIABLE,
  withApiKey,
  type SignIn,
} from './connection.js';
import { CredentialStore, type Credentials } from './credentials.js';
import { Failure } from './failure.js';
import { json, note, write } from './output.js';
import { DEFAULT_URL, isOpenToReaders, plainUrl, URL_ADVICE } from './server-url.js';
import { card, type Field } from './table.js';
import { localTime, printable } from './text.js';

/** The message does not repeat the argument, which may be a secret. */
const ARGUMENT =
  'Do not pass a password or key as an argument, because every process of the machine can read it. The command asks for ' +
  'it, or reads it from standard input. If the argument was a secret, change it.';

export interface LoginOptions {
  readonly url?: string;
  readonly email?: string;
  readonly apiKey?: boolean;
}

export async function login(options: LoginOptions, args: readonly string[], host: CommandProcess): Promise<void> {
  if (args.length > 0) throw new Failure(ARGUMENT, EXIT_USAGE);
  const store = new CredentialStore(host.env);
  const url = optionUrl(options.url) ?? givenUrl(host.env) ?? store.read()?.url ?? DEFAULT_URL;
  if (isOpenToReaders(url)) note(host, `Warning: requests to ${url} are not encrypted; use https.`);
  const credentials = options.apiKey ? await byApiKey(host, url) : await byPassword(host, url, options.email);
  await store.exclusively(async () => store.write(credentials));
  const name = nameOf(await as(credentials, store).auth.whoami());
  note(host, `Signed in at ${url} as ${name}; the credential is in ${store.file}.`);
  if (host.env[VARIABLE]) note(host, `While ${VARIABLE} is set, that key is used instead.`);
}

function optionUrl(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const url = plainUrl(text);
  if (url) return url;
  throw new Failure(`--url ${URL_ADVICE}.`, EXIT_USAGE);
}

/** Checks the key with the server before storing it. */
async function byApiKey(host: CommandProcess, url: string): Promise<Credentials> {
  const apiKey = (await askSecret(host, 'API key')).trim();
  if (!looksLikeApiKey(apiKey)) throw new Failure('An API key is one word without spaces: copy it again.', EXIT_USAGE);
  await withApiKey(url, apiKey).auth.whoami();
  return { url, api_key: apiKey };
}

async function byPassword(host: CommandProcess, url: string, givenEmail: string | undefined): Promise<Credentials> {
  const email = givenEmail ?? (await askEmail(host, url));
  const password = await askSecret(host, 'Password');
  return sessionOf(url, await anonymously(url).auth.login({ body: { email, password } }));
}

async function askEmail(host: CommandProcess, url: string): Promise<string> {
  if (canAsk(host)) return ask(host, `Email at ${url}: `);
  throw new Failure('Without a terminal, the email is required: add --email EMAIL.', EXIT_USAGE);
}

/** Removes the stored credential even if the server cannot be reached. */
export async function logout(host: CommandProcess): Promise<void> {
  const store = new CredentialStore(host.env);
  const kept = store.read();
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
  const response = await as(mine.credentials, store).auth.whoami();
  await write(host, options.json ? json(host, response) : card([...fieldsOf(response), ...originOf(mine)]));
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

function fieldsOf(who: Whoami): Field[] {
  if (who.type === 'user') {
    const { id, email, name, operator } = who.user;
    return [
      ['User', id],
      ['Email', email],
      ['Name', name],
      ['Operator', operator ? 'yes' : 'no'],
    ];
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
