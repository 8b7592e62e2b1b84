import type { IncomingHttpHeaders } from 'node:http';
import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import { idOf } from '#libs/contract/ids.js';
import type { FieldError } from '#libs/contract/problem.js';
import { Scope } from '#libs/contract/scopes.js';
import { CredentialPlace } from '#libs/contract/sent-credential.js';
import { bytesOf } from '#libs/platform/byte-size.js';
import { invalidInput } from '#libs/platform/errors.js';
import { withoutSecrets } from '#libs/platform/redact.js';
import { slipsBetween, suggestion } from '#libs/platform/suggest.js';
import { GATEWAY_HEADERS } from './gateway-response.js';

/**
 * What a gateway demands of the key in a request. A demand that Keyledger does not understand is an error and is never
 * ignored: an unknown, repeated, empty or malformed parameter rejects every request.
 */
export interface GatewayPolicy {
  readonly scopes: readonly string[];
  readonly projectId: string | undefined;
  readonly cost: number;
  /** Where the credential is; undefined for `X-API-Key` or `Authorization: Bearer`. */
  readonly credential: CredentialPlace | undefined;
}

/** An explicit demand for no scope. It cannot be a scope, because each scope has a colon. */
const NO_SCOPE = 'none';
const MAX_SCOPES = 20;
const MAX_COST = 1_000_000;

const scopes = z
  .string()
  .transform((text) => (text === NO_SCOPE ? [] : text.split(/[ ,]/)))
  .pipe(
    z
      .array(Scope)
      .max(MAX_SCOPES)
      .refine((list) => new Set(list).size === list.length),
  );
const fields = {
  scope: scopes,
  project: idOf('proj').optional(),
  cost: z
    .string()
    .regex(/^\d{1,7}$/)
    .transform(Number)
    .pipe(z.int().max(MAX_COST))
    .default(1),
  credential: CredentialPlace.refine((place) => !place || !GATEWAY_HEADERS.includes(place.header)).optional(),
};
const NAMES = Object.keys(fields);
const ByHeaders = z.strictObject(fields);
/** The gateway's configuration sets the URL. It may be the bare `/authz`, which demands a good key and nothing else. */
const ByQuery = z.strictObject({
  ...fields,
  scope: scopes.default([]),
  nginx: z.literal('1').optional(),
});
const QUERY_NAMES = Object.keys(ByQuery.shape);

const HEADER_PREFIX = 'x-authz-';
const HEADERS = NAMES.map((name) => HEADER_PREFIX + name);
const NOT_SENT = '\r';

const REMEMBERED = 1_000;
const REMEMBERED_BYTES = 1024 * 1024;

/** Parses policies and caches them by their text, because a gateway sends the same ones again and again. */
export class GatewayPolicies {
  readonly #byText = new LRUCache<string, GatewayPolicy>({
    max: REMEMBERED,
    maxSize: REMEMBERED_BYTES,
    sizeCalculation: (policy, text) => bytesOf(text) + bytesOf(policy),
  });
  /** Names of headers that do not resemble ours. */
  readonly #unrelated = new LRUCache<string, true>({
    max: REMEMBERED,
    maxSize: REMEMBERED_BYTES,
    sizeCalculation: (_, name) => bytesOf(name),
  });

  /**
   * For exactly `/authz`: reads the policy from the query, which only the gateway's configuration sets. A policy header
   * is rejected, because it would have no effect.
   * @throws DomainError `invalid_request`
   */
  ofUrl(url: string, headers: IncomingHttpHeaders): GatewayPolicy {
    for (const name in headers) {
      if (isOurs(name)) throw misplaced(name);
    }
    const known = this.#byText.get(url);
    if (known) return known;
    const policy = policyOf('query', ByQuery, parametersOf(url));
    this.#byText.set(url, policy);
    return policy;
  }

  /**
   * For `/authz/…`: reads the policy from headers, because path and query are the client's. Only for a known gateway.
   * @throws DomainError `invalid_request`
   */
  ofHeaders(headers: IncomingHttpHeaders): GatewayPolicy {
    for (const name in headers) {
      if (!HEADERS.includes(name) && !this.#isUnrelated(name)) throw misspeltHeader(name);
    }
    const given = HEADERS.map((name) => headers[name]);
    // Unambiguous, because no header contains a line break. An empty header differs from one that was not sent.
    const text = given.map((value) => value ?? NOT_SENT).join('\n');
    const known = this.#byText.get(text);
    if (known) return known;
    const named = Object.fromEntries(
      NAMES.map((name, index) => [name, given[index]] as const).filter(([, value]) => value !== undefined),
    );
    const policy = policyOf('headers', ByHeaders, named);
    this.#byText.set(text, policy);
    return policy;
  }

  #isUnrelated(name: string): boolean {
    if (this.#unrelated.has(name)) return true;
    if (isOurs(name) || HEADERS.some((ours) => isNearly(name, ours))) return false;
    this.#unrelated.set(name, true);
    return true;
  }
}

/** Whether a URL has `nginx=1`, however wrong the rest of the query is. */
export function isAskedByNginx(url: string): boolean {
  const start = url.indexOf('?');
  return (
    start !== -1 &&
    url
      .slice(start + 1)
      .split('&')
      .includes('nginx=1')
  );
}

/** Whether a header has our prefix or a misspelt form of it: `X_Authz_Scope`, `XAuthz-Scope`. */
function isOurs(name: string): boolean {
  return name.startsWith(HEADER_PREFIX) || (name.charCodeAt(0) === X && /^x[^a-z]?authz/.test(name));
}
const X = 'x'.charCodeAt(0);

function isNearly(name: string, ours: string): boolean {
  return Math.abs(name.length - ours.length) <= 2 && slipsBetween(name, ours) <= 2;
}

function misplaced(name: string) {
  return invalidInput({
    location: `headers.${redacted(name)}`,
    message: 'must not be sent to /authz; use the query instead',
  });
}

function misspeltHeader(name: string) {
  const message = `is not a header of Keyledger${suggestion(name, HEADERS)}`;
  return invalidInput({ location: `headers.${redacted(name)}`, message });
}

/**
 * Parses a query in the only accepted form: `name=value` pairs with `&` between them. Only values are percent-decoded.
 * Encoded names, `;` and empty pairs are rejected, because parsers disagree about them.
 */
function parametersOf(url: string): Record<string, string> {
  const start = url.indexOf('?');
  if (start === -1) return {};
  const parameters = new Map<string, string>();
  for (const pair of url.slice(start + 1).split('&')) {
    const equals = pair.indexOf('=');
    const name = equals === -1 ? pair : pair.slice(0, equals);
    const value = equals === -1 ? undefined : decoded(pair.slice(equals + 1));
    const message = faultOfParameter(name, value, parameters);
    if (message) throw invalidInput({ location: name ? `query.${redacted(name)}` : 'query', message });
    parameters.set(name, value!);
  }
  return Object.fromEntries(parameters);
}

function faultOfParameter(
  name: string,
  value: string | null | undefined,
  before: ReadonlyMap<string, string>,
): string | undefined {
  if (name === '') return 'must be name=value, with one & between two';
  if (!QUERY_NAMES.includes(name)) return `is not a parameter of /authz${suggestion(name, QUERY_NAMES)}`;
  if (before.has(name)) return 'must appear once';
  if (value === undefined || value === '') return 'must have a value';
  return value === null ? 'must be percent-encoded as UTF-8' : undefined;
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return null;
  }
}

function policyOf(
  part: 'query' | 'headers',
  schema: typeof ByQuery | typeof ByHeaders,
  given: Readonly<Record<string, unknown>>,
): GatewayPolicy {
  const { data, error } = schema.safeParse(given);
  if (!data)
    throw invalidInput(...[...new Set(error.issues.map(({ path }) => String(path[0])))].map(fieldErrorOf(part)));
  return { scopes: data.scope, projectId: data.project, cost: data.cost, credential: data.credential };
}

/** What each field must be. Errors name the whole field, not its parts: the values are short. */
const WANTED: Readonly<Record<string, string>> = {
  scope: `none, or up to ${MAX_SCOPES} different scopes such as triggers:read, with one comma or one space between two`,
  project: 'the id of a project',
  cost: `a number of 1 to 7 digits, up to ${MAX_COST}`,
  credential: 'either, or the name of a header, or its name and a scheme such as authorization:token',
  nginx: '1',
};

function fieldErrorOf(part: 'query' | 'headers'): (name: string) => FieldError {
  const prefix = part === 'headers' ? `headers.${HEADER_PREFIX}` : 'query.';
  return (name) => ({ location: prefix + name, message: `must be ${WANTED[name]}` });
}

function redacted(name: string): string {
  return withoutSecrets(name).slice(0, 60);
}
