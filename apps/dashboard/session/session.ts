import { ApiError, createClient, type Client } from '#libs/client/client.js';
import { reachingFetch } from './reachability.js';

/** There is no session, or it has ended: the user must sign in. */
export class SignedOut extends Error {
  override readonly name = 'SignedOut';
}

/** A request with a token that is about to expire might be rejected. */
const REFRESH_AHEAD_MS = 30_000;

/** A tab that receives a message asks the server. {@link SIGNED_OUT} also says that a user ended the session in a tab. */
const channel = new BroadcastChannel('keyledger-session');

const SIGNED_OUT = 'signed-out';

/** The access token is stored only here. The refresh token is in a cookie that scripts cannot read. */
let token: { readonly value: string; readonly staleAt: number } | undefined;
/** Known to have no session, so that no further refresh is attempted. */
let gone = false;
/** If there was a session, it was ended elsewhere or expired, unless this tab ended it. */
let hadSession = false;
let refreshing: Promise<string> | undefined;
let onChange: () => void = () => undefined;
let onEnded: () => void = () => undefined;

channel.addEventListener('message', ({ data }) => {
  token = undefined;
  gone = false;
  // A user has signed in or out in another tab. The server tells this tab which user, if any.
  if (data === SIGNED_OUT) hadSession = false;
  onChange();
  onEnded();
});

/** @param listener called after a sign-in or sign-out, in this tab or another */
export function watchSession(listener: () => void): void {
  onChange = listener;
}

/** Whether it is known that there is no session. */
export function isSignedOut(): boolean {
  return gone;
}

/** Whether this tab had a session that was ended elsewhere or expired. */
export function hasEnded(): boolean {
  return gone && hadSession;
}

/** For a part of a page that shows {@link hasEnded}. */
export function onEnd(listener: () => void): () => void {
  onEnded = listener;
  return () => {
    onEnded = () => undefined;
  };
}

/** Calls that need no session. */
export const publicApi = createClient({ baseUrl: '', fetch: reachingFetch });

/** Calls as the signed-in user. @throws SignedOut */
export const api = createClient({ baseUrl: '', fetch: fetchWithToken });

/** The same with options of `fetch`. @throws SignedOut */
export function apiWith(options: Pick<RequestInit, 'cache' | 'signal'>): Client {
  return createClient({ baseUrl: '', fetch: (input, init) => fetchWithToken(input, { ...init, ...options }) });
}

export async function signIn({ email, password }: { email: string; password: string }): Promise<void> {
  keep(await publicApi.auth.login({ body: { email, password, session: 'cookie' } }));
  announce();
}

/** Continues an ended session. The page of one user must not continue for another, so it is then loaded anew. */
export async function signInAgain(credentials: { email: string; password: string }, userId: string): Promise<void> {
  await signIn(credentials);
  const caller = await api.auth.whoami();
  if (caller.type !== 'user' || caller.user.id !== userId) window.location.assign('/');
}

export async function signOut(): Promise<void> {
  try {
    await api.auth.logout();
  } catch (error) {
    if (!(error instanceof SignedOut)) throw error;
  }
  hadSession = false;
  token = undefined;
  gone = true;
  announce(SIGNED_OUT);
}

async function fetchWithToken(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const used = token && Date.now() < token.staleAt ? token.value : await refresh();
  const response = await reachingFetch(input, withToken(init, used));
  if (!(await isInvalidToken(response))) return response;
  // Another call may have refreshed the token meanwhile.
  return reachingFetch(input, withToken(init, token && token.value !== used ? token.value : await refresh()));
}

function withToken(init: RequestInit | undefined, value: string): RequestInit {
  const headers = new Headers(init?.headers);
  headers.set('Authorization', `Bearer ${value}`);
  return { ...init, headers };
}

/** A wrong password is also a 401, so the code decides. */
async function isInvalidToken(response: Response): Promise<boolean> {
  if (response.status !== 401) return false;
  const { code } = (await response.clone().json()) as { code?: string };
  return code === 'invalid_token';
}

/** At most one refresh at a time in this tab. */
function refresh(): Promise<string> {
  if (gone) return Promise.reject(new SignedOut());
  refreshing ??= oneTabAtATime(askForToken).finally(() => {
    refreshing = undefined;
  });
  return refreshing;
}

/**
 * In an insecure context (plain HTTP, except on localhost) a page has no locks. The server then still gives two tabs the
 * same next token.
 */
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

/**
 * `keepalive` lets the refresh finish after the page closes. If its new cookie were lost, the next use of the old one
 * would count as theft.
 */
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
  else onEnded();
}

function announce(what?: typeof SIGNED_OUT): void {
  channel.postMessage(what);
  onChange();
  onEnded();
}
