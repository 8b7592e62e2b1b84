import { createKeyledger, type Client } from '#libs/client/keyledger.js';
import { EXIT_CONFIG } from '#libs/platform/config.js';
import type { CommandProcess } from '../command-process.js';
import { EXIT_NOT_SIGNED_IN, EXIT_USAGE } from '../exit-codes.js';
import { askSecret } from './ask.js';
import { CredentialStore, type Credentials, type Session } from './credentials.js';
import { Failure } from './failure.js';
import { DEFAULT_URL, plainUrl, URL_ADVICE } from './server-url.js';

/** The variable with the key that replaces a stored sign-in. */
export const VARIABLE = 'KEYLEDGER_API_KEY';

/** A token that expires within this time may have expired when the request arrives. */
const MARGIN_MS = 30_000;

const HEADERS = {
  // The server shows it in the audit log.
  'User-Agent': 'keyledger-cli',
  // By default, the runtime does not ask for zstd, by which the entries of an audit log have a tenth of the bytes.
  'Accept-Encoding': 'zstd, br, gzip, deflate',
};

/** Who a command acts as, and where that comes from. */
export interface SignIn {
  readonly url: string;
  /** KEYLEDGER_API_KEY, or the file of `keyledger login`. */
  readonly source: string;
  readonly credentials: Credentials;
}

/**
 * KEYLEDGER_API_KEY, else the credential that `keyledger login` stored.
 * @throws Failure if there is none
 */
export function signIn(env: NodeJS.ProcessEnv): SignIn {
  const store = new CredentialStore(env);
  const given = givenUrl(env);
  const apiKey = givenApiKey(env);
  if (apiKey) {
    const url = serverUrl(env);
    return { url, source: VARIABLE, credentials: { url, api_key: apiKey } };
  }
  const kept = store.read();
  if (!kept) throw notSignedIn();
  // Credentials from one server are not sent to another.
  if (given && given !== kept.url) throw signedInElsewhere(given, kept.url);
  return { url: kept.url, source: store.file, credentials: kept };
}

/**
 * Creates a client with the credential of the command.
 * @param stop ends calls, except the refresh of a session, whose response must be stored
 * @throws Failure if there is no credential
 */
export function connect(env: NodeJS.ProcessEnv, stop?: AbortSignal): Client {
  return as(signIn(env).credentials, new CredentialStore(env), stop);
}

/** Creates a client with the given credentials. */
export function as(credentials: Credentials, store: CredentialStore, stop?: AbortSignal): Client {
  const { url } = credentials;
  return 'api_key' in credentials ? withApiKey(url, credentials.api_key, stop) : withSession(url, store, stop);
}

export function withApiKey(url: string, apiKey: string, stop?: AbortSignal): Client {
  return createKeyledger({ baseUrl: url, apiKey, headers: HEADERS, ...(stop && { signal: stop }) });
}

/** The server of a command that needs no sign-in: KEYLEDGER_URL, or the one of the last sign-in. */
export function serverUrl(env: NodeJS.ProcessEnv): string {
  return givenUrl(env) ?? new CredentialStore(env).read()?.url ?? DEFAULT_URL;
}

/** Creates a client without credentials, for signing in. */
export function anonymously(url: string): Client {
  return createKeyledger({ baseUrl: url, headers: HEADERS });
}

/** Sends each request with a valid access token. After a 401 it refreshes the token and sends the request once more. */
function withSession(url: string, store: CredentialStore, stop: AbortSignal | undefined): Client {
  return createKeyledger({
    baseUrl: url,
    headers: HEADERS,
    ...(stop && { signal: stop }),
    fetch: async (input, init) => {
      const request = new Request(input, init);
      const token = await accessToken(store, url);
      const response = await fetch(withToken(request.clone(), token));
      if (response.status !== 401) return response;
      await response.body?.cancel();
      return fetch(withToken(request, await accessToken(store, url, token)));
    },
  });
}

function withToken(request: Request, token: string): Request {
  request.headers.set('Authorization', `Bearer ${token}`);
  return request;
}

/** Returns the stored token unless it expired or was rejected; else stores a new one and returns it. */
async function accessToken(store: CredentialStore, url: string, refused?: string): Promise<string> {
  const isGood = (session: Session) => session.access_token !== refused && isFresh(session);
  const kept = sessionIn(store, url);
  if (isGood(kept)) return kept.access_token;
  return store.exclusively(async () => {
    // Another process may have refreshed the token while this one waited for the lock.
    const present = sessionIn(store, url);
    if (isGood(present)) return present.access_token;
    const tokens = await anonymously(url).auth.refresh({ body: { refresh_token: present.refresh_token } });
    const session = { ...present, ...sessionOf(url, tokens) };
    store.write(session);
    return session.access_token;
  });
}

function isFresh({ access_token_ends_at }: Session): boolean {
  return Date.parse(access_token_ends_at) - Date.now() > MARGIN_MS;
}

function sessionIn(store: CredentialStore, url: string): Session {
  const kept = store.read();
  // The user signed out or signed in elsewhere meanwhile.
  if (kept?.url !== url || 'api_key' in kept) throw notSignedIn();
  return kept;
}

interface Tokens {
  readonly access_token: string;
  readonly expires_in: number;
  readonly refresh_token?: string | undefined;
}

export function sessionOf(url: string, tokens: Tokens): Session {
  return {
    url,
    refresh_token: tokens.refresh_token!,
    access_token: tokens.access_token,
    access_token_ends_at: new Date(Date.now() + tokens.expires_in * 1000).toISOString(),
  };
}

/** @throws Failure if the value is no valid URL */
function givenUrl(env: NodeJS.ProcessEnv): string | undefined {
  if (!env['KEYLEDGER_URL']) return undefined;
  const url = plainUrl(env['KEYLEDGER_URL']);
  if (url) return url;
  throw new Failure(`KEYLEDGER_URL ${URL_ADVICE}.`, EXIT_CONFIG);
}

/** @throws Failure if the value cannot be a key: the runtime would reject it as a header, and print it */
function givenApiKey(env: NodeJS.ProcessEnv): string | undefined {
  const apiKey = env[VARIABLE]?.trim();
  if (!apiKey) return undefined;
  if (looksLikeApiKey(apiKey)) return apiKey;
  throw new Failure('KEYLEDGER_API_KEY must be an API key, one word without spaces.', EXIT_CONFIG);
}

/** Asks for a key that the caller holds. */
export async function askApiKey(host: CommandProcess): Promise<string> {
  const key = (await askSecret(host, 'API key')).trim();
  if (!looksLikeApiKey(key)) throw new Failure('An API key is one word without spaces: copy it again.', EXIT_USAGE);
  return key;
}

function looksLikeApiKey(text: string): boolean {
  return /^[\x21-\x7e]{1,500}$/.test(text);
}

function notSignedIn(): Failure {
  return new Failure(
    'You are not signed in: run `keyledger login`, or set KEYLEDGER_URL and KEYLEDGER_API_KEY.',
    EXIT_NOT_SIGNED_IN,
  );
}

function signedInElsewhere(given: string, kept: string): Failure {
  return new Failure(
    `You are signed in at ${kept}, but KEYLEDGER_URL is ${given}: run \`keyledger login\`, or unset KEYLEDGER_URL.`,
    EXIT_NOT_SIGNED_IN,
  );
}
