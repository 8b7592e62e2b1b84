import { z } from 'zod';
import { checkedBaseUrl, isCredential } from '#libs/contract/connection.js';
import { parseFromLaterVersion } from '#libs/contract/later-version.js';
import type { ProblemCode } from '#libs/contract/problem.js';
import { rateLimitHeaders } from '#libs/contract/rate-limits.js';
import { credentialAt, credentialInEither, CredentialPlace, describePlace } from '#libs/contract/sent-credential.js';
import { Verification } from '#libs/contract/verification.js';
import { rejectionOf, unavailable, type Rejection } from './rejection.js';

export type { Rejection };

/** Options of `createVerifier`. */
export interface VerifierOptions {
  /** Where Keyledger is, such as `https://keys.example.com`. */
  readonly baseUrl: string;
  /** A key of Keyledger with the scope `deployment:verify`, or `api-keys:verify` for the keys of one organization. */
  readonly apiKey: string;
  /**
   * Where the callers of your API send their keys:
   * - `either`, the default: in `X-API-Key` or as `Authorization: Bearer`;
   * - `authorization`: as `Authorization: Bearer`;
   * - the name of another header, such as `x-api-key`: as its whole value. `Authorization` then belongs to your API;
   * - a header and a scheme, such as `authorization:token`: behind that scheme.
   */
  readonly credential?: 'either' | 'authorization' | 'x-api-key' | (string & {});
  /** The longest that a request waits for its verification. The default is 5,000 milliseconds. */
  readonly timeoutMs?: number;
  /** The name of your API in `WWW-Authenticate`. */
  readonly realm?: string;
  /** Is called with the reason why a verification failed, without secrets. By default `console.error` prints it. */
  readonly onUnavailable?: (error: Error) => void;
  /** Sends the requests. The default is the `fetch` of the runtime. */
  readonly fetch?: typeof fetch;
}

/** What a request needs of its key. */
export interface Requirement {
  /** The key needs all of them. An empty list accepts every good key. */
  readonly scopes: readonly string[];
  /** What the request takes from the rate limits and the credits of the key. The default is 1. */
  readonly cost?: number;
  /** The project of the request: a key that is limited to another project is refused. */
  readonly projectId?: string;
}

const Need = z.strictObject({
  scopes: z.array(z.string().min(1)),
  cost: z.int().min(0).optional(),
  projectId: z.string().min(1).optional(),
});

/**
 * Programs without types may misspell a member, and a requirement that is not understood must not let requests pass.
 *
 * @throws TypeError with one sentence
 */
export function checkRequirement(requirement: Requirement): void {
  if (Need.safeParse(requirement).success) return;
  throw new TypeError("A requirement must be { scopes: ['orders:read'], cost?: 1, projectId?: 'proj_…' }.");
}

/** The part of a request that Keyledger gets to see. */
export interface IncomingRequest {
  readonly method: string;
  /** The path. A query is never sent to Keyledger. */
  readonly path: string;
  /** The address of the caller. Without it, keys with allowed addresses are refused. */
  readonly ip?: string | undefined;
  /** Returns a header by its name in lower case. */
  header(name: string): string | null | undefined;
}

/**
 * The key of a request: `id`, `name`, `organization_id` (its owner), `project_id` (the project that it is limited to, or
 * null), `external_id` and `metadata` (yours), `environment`, `scopes`, `credential`, `status`, and `expires_at` (RFC 3339, or
 * null).
 */
export type Caller = NonNullable<Verification['api_key']>;

/** What to do with a request: let it pass, or send the response in `rejection`. */
export type Decision =
  | {
      readonly valid: true;
      readonly caller: Caller;
      /** `RateLimit` and `RateLimit-Policy` for the response, if the key has rate limits. */
      readonly headers: Readonly<Record<string, string>>;
    }
  | { readonly valid: false; readonly rejection: Rejection };

/** Decides about requests. Create one by `createVerifier`. */
export interface Verifier {
  /**
   * Decides about a request, and records the use of the key. Never throws: a request that cannot be verified is refused
   * with 503. Nothing is repeated, because a use would count twice.
   */
  verify(request: IncomingRequest, requirement: Requirement): Promise<Decision>;
}

/** The texts that describe a request are longer only by mistake or with intent. */
const MAX_TEXT = 500;
const MAX_PATH = 2000;

/**
 * Creates what asks Keyledger about the keys of requests. Create it once: it keeps connections open.
 *
 * @throws TypeError with one sentence if an option is not usable
 */
export function createVerifier(options: VerifierOptions): Verifier {
  const {
    timeoutMs = 5_000,
    realm = 'api',
    fetch: send = fetch,
    onUnavailable = ({ message }) => console.error(message),
  } = options;
  const place = checkedPlace(options.credential);
  const url = `${checkedBaseUrl(options.baseUrl)}/api/v1/api-keys/verify`;
  const headers = { 'Content-Type': 'application/json', 'X-API-Key': checkedKey(options.apiKey) };

  const ask = async (key: string, request: IncomingRequest, { scopes, cost, projectId }: Requirement) => {
    const body = JSON.stringify({ key, scopes, cost, project_id: projectId, request: described(request) });
    const signal = AbortSignal.timeout(timeoutMs);
    const response = await send(url, { method: 'POST', headers, body, signal, redirect: 'error' });
    if (!response.ok) throw new Unavailable(await reasonOf(response), response.headers.get('retry-after'));
    return verificationIn(await jsonOf(response));
  };

  const tell = (error: unknown) => {
    try {
      onUnavailable(new Error(`Keyledger cannot verify: ${messageOf(error, timeoutMs)}`));
    } catch {
      // A log that fails is no reason to leave the caller without a response.
    }
  };

  return {
    async verify(request, requirement) {
      try {
        checkRequirement(requirement);
        const sent = place
          ? credentialAt(place, request.header(place.header))
          : credentialInEither(request.header('x-api-key'), request.header('authorization'));
        if (typeof sent === 'object') {
          const detail = sent.detail ?? describePlace(place);
          return { valid: false, rejection: rejectionOf(sent.code, realm, { detail }) };
        }
        if (!mayBeKey(sent)) return { valid: false, rejection: rejectionOf('invalid_key', realm) };
        return decisionOf(await ask(sent, request, requirement), realm, requirement);
      } catch (error) {
        tell(error);
        return { valid: false, rejection: unavailable((error instanceof Unavailable && error.retryAfter) || '1') };
      }
    },
  };
}

/** The longest text that Keyledger reads as a key, in characters. */
const MAX_KEY = 500;

function mayBeKey(text: string): boolean {
  return text.length <= MAX_KEY && !/\s/.test(text);
}

function verificationIn(value: unknown): Verification {
  try {
    return parseFromLaterVersion(Verification, value);
  } catch {
    throw new Unavailable(NOT_OURS);
  }
}

function decisionOf(
  { code, detail, api_key, retry_after, rate_limits }: Verification,
  realm: string,
  need: Requirement,
): Decision {
  if (code === 'valid' && api_key) return { valid: true, caller: api_key, headers: rateLimitHeaders(rate_limits) };
  if (code === 'valid') throw new Unavailable(NOT_OURS);
  const details = { scopes: need.scopes, retryAfter: retry_after, rateLimits: rate_limits };
  const text = code === 'insufficient_scope' ? `${detail}: it needs ${need.scopes.join(', ')}` : detail;
  return { valid: false, rejection: rejectionOf(code satisfies ProblemCode, realm, { ...details, detail: text }) };
}

function described(request: IncomingRequest) {
  const text = (name: string) => request.header(name)?.slice(0, MAX_TEXT) ?? undefined;
  return {
    method: request.method,
    path: request.path.split('?', 1)[0]!.slice(0, MAX_PATH),
    ip: request.ip,
    origin: text('origin'),
    user_agent: text('user-agent'),
  };
}

/** A response of Keyledger has less than 10,000 characters. */
const MAX_RESPONSE = 100_000;

/** Undefined if it is not JSON, or too long. An error of the connection passes as it is. */
async function jsonOf(response: Response): Promise<unknown> {
  let text = '';
  for await (const part of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += part;
    if (text.length > MAX_RESPONSE) return undefined;
  }
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const NOT_OURS = 'the response is not one of Keyledger';

/** Why a verification failed, in words that hold no secret. */
class Unavailable extends Error {
  override readonly name = 'Unavailable';

  constructor(
    message: string,
    readonly retryAfter: string | null = null,
  ) {
    super(message);
  }
}

async function reasonOf(response: Response): Promise<string> {
  const problem = (await jsonOf(response)) as { code?: unknown } | undefined;
  const code = /^[a-z_]{1,50}$/.exec(String(problem?.code))?.[0];
  const status = `it responded with ${response.status}${code && problem?.code ? ` ${code}` : ''}`;
  if (response.status === 401) return `${status}: check the key of your service`;
  if (response.status === 404) return `${status}: check baseUrl`;
  return response.status === 403
    ? `${status}: the key of your service needs the scope deployment:verify or api-keys:verify`
    : status;
}

/** The message of `fetch` itself is "fetch failed"; its cause says why. */
function messageOf(error: unknown, timeoutMs: number): string {
  if (error instanceof Unavailable) return error.message;
  if (error instanceof DOMException && error.name === 'TimeoutError') return `no response within ${timeoutMs} ms`;
  const cause = (error as Error).cause ?? error;
  const { code, message } = cause as Error & { code?: string };
  return code ?? message;
}

function checkedKey(apiKey: string): string {
  if (isCredential(apiKey)) return apiKey;
  throw new TypeError('apiKey must be a key of Keyledger with the scope deployment:verify or api-keys:verify.');
}

function checkedPlace(credential = 'either'): CredentialPlace | undefined {
  const { success, data } = CredentialPlace.safeParse(credential);
  if (success) return data;
  throw new TypeError(
    'credential must be either, the name of a header that can hold a key, or its name and a scheme such as authorization:token.',
  );
}
