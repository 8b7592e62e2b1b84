import { ApiError, createClient } from '#libs/client/client.js';
import { reachingFetch } from './reachability.js';

/** There is no session, or no more: the way on is to sign in. */
export class SignedOut extends Error {
  override readonly name = 'SignedOut';
}

/** Calls with a token that is about to expire would only come back. */
const REFRESH_AHEAD_MS = 30_000;

/** Carries no content: whoever hears it asks the server. */
const channel = new BroadcastChannel('keyledger-session');

/** The access token is here and nowhere else; the refresh token is in a cookie that no script can read. */
let token: { readonly value: string; readonly staleAt: number } | undefined;
/** Known not to be there, so that nothing asks for it again. */
let gone = false;
/** Once there was one, an end that is not ours is somebody else's. */
let hadSession = false;
let refreshing: Promise<string> | undefined;
let onChange: () => void = () => undefined;

channel.addEventListener('message', () => {
  token = undefined;
  gone = false;
  onChange();
});

/** @param listener is told when somebody signed in or out, here or in another tab */
export function watchSession(listener: () => void): void {
  onChange = listener;
}

/** Whether it is known that there is none. */
export function isSignedOut(): boolean {
  return gone;
}

/** Whether there was one in this tab that somebody else ended, or that ran out. */
export function hasEnded(): boolean {
  return gone && hadSession;
}

/** The calls that need no session. */
export const publicApi = createClient({ baseUrl: '', fetch: reachingFetch });

/** The calls of whoever is signed in. @throws SignedOut */
export const api = createClient({ baseUrl: '', fetch: fetchWithToken });

export async function signIn({ email, password }: { email: string; password: string }): Promise<void> {
  keep(await publicApi.auth.login({ body: { email, password, session: 'cookie' } }));
  announce();
}

export async function signOut(): Promise<void> {
  try {
    await api.auth.logout();
  } catch (error) {
    if (!(error instanceof SignedOut)) throw error;
  }
  hadSession = false;
  forget();
}

async function fetchWithToken(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const used = token && Date.now() < token.staleAt ? token.value : await refresh();
  const response = await reachingFetch(input, withToken(init, used));
  if (!(await refusesToken(response))) return response;
  // Another call may have refreshed while this one was under way.
  return reachingFetch(input, withToken(init, token && token.value !== used ? token.value : await refresh()));
}

function withToken(init: RequestInit | undefined, value: string): RequestInit {
  const headers = new Headers(init?.headers);
  headers.set('Authorization', `Bearer ${value}`);
  return { ...init, headers };
}

/** A wrong password is a 401, too. */
async function refusesToken(response: Response): Promise<boolean> {
  if (response.status !== 401) return false;
  const { code } = (await response.clone().json()) as { code?: string };
  return code === 'invalid_token';
}

/** One at a time in this tab. */
function refresh(): Promise<string> {
  if (gone) return Promise.reject(new SignedOut());
  refreshing ??= oneTabAtATime(askForToken).finally(() => {
    refreshing = undefined;
  });
  return refreshing;
}

/** Without locks, which a page without TLS does not have, the server still gives two tabs the same successor. */
function oneTabAtATime<T>(work: () => Promise<T>): Promise<T> {
  return isSecureContext ? navigator.locks.request('keyledger-refresh', work) : work();
}

async function askForToken(): Promise<string> {
  try {
    return keep(await refreshClient.auth.refresh({ body: {} }));
  } catch (error) {
    if (!(error instanceof ApiError && error.problem.code === 'invalid_refresh_token')) throw error;
    forget();
    throw new SignedOut();
  }
}

/** `keepalive`: a page that is left meanwhile must still get its next cookie, or the one it has counts as stolen. */
const refreshClient = createClient({
  baseUrl: '',
  fetch: (input, init) => reachingFetch(input, { ...init, keepalive: true }),
});

function keep({ access_token: value, expires_in: seconds }: { access_token: string; expires_in: number }): string {
  token = { value, staleAt: Date.now() + seconds * 1000 - REFRESH_AHEAD_MS };
  gone = false;
  hadSession = true;
  return value;
}

function forget(): void {
  const wasKnown = token !== undefined;
  token = undefined;
  gone = true;
  if (wasKnown) announce();
}

function announce(): void {
  channel.postMessage(undefined);
  onChange();
}
