import { holdsSecret, SEARCHED_TEXTS, searchTermOf } from '#libs/api-key-format/search-term.js';
import { bodyWhenRepeated } from '#libs/contract/idempotency.js';
import { parseFromLaterVersion } from '#libs/contract/later-version.js';
import { Problem } from '#libs/contract/problem.js';
import { fillPath, type Route } from '#libs/contract/route.js';
import { routes } from '#libs/contract/routes.js';
import type { z } from 'zod';
import { isRepeated } from './repeated.js';

/**
 * Thrown for a problem response. `problem` is its body (RFC 9457): `status`, `code`, `detail`, `request_id`, and `errors`
 * for bad input. `headers` may have `Retry-After`, in seconds.
 */
export class ApiError extends Error {
  override readonly name = 'ApiError';

  constructor(
    readonly problem: Problem,
    readonly headers: Headers,
  ) {
    super(`${problem.status} ${problem.code}: ${problem.detail}`);
  }

  /** For programs, such as `not_found`. */
  get code(): Problem['code'] {
    return this.problem.code;
  }

  /** By which the audit log and support find the request. */
  get requestId(): string {
    return this.problem.request_id;
  }
}

/**
 * Thrown for a response that violates the contract: what responds is not Keyledger, or another version. The message does
 * not quote the response, which may hold secrets.
 */
export class UnexpectedResponse extends Error {
  override readonly name = 'UnexpectedResponse';

  constructor(
    readonly status: number,
    cause?: unknown,
  ) {
    super(`The response with the status ${status} is not one of Keyledger`, { cause });
  }
}

/**
 * Thrown if the server did what was asked, but its response with the secrets was lost, and the repeated call got a
 * response without them. `result` is that response. A key, for example, can be rotated to get a secret.
 */
export class LostSecrets extends Error {
  override readonly name = 'LostSecrets';

  constructor(readonly result: unknown) {
    super('The call succeeded, but the response with the secrets was lost, and they are shown only once');
  }
}

/** Thrown instead of sending a secret in the URL, which servers and proxies log. */
export class SecretInAddress extends Error {
  override readonly name = 'SecretInAddress';

  constructor() {
    super('A secret key was given instead of an id or a filter. It was not sent: use the id of the key.');
  }
}

type InputPart<R, K extends 'params' | 'query' | 'headers' | 'body'> = R extends { [P in K]: infer S extends z.ZodType }
  ? {} extends z.input<S>
    ? { [P in K]?: z.input<S> }
    : { [P in K]: z.input<S> }
  : unknown;

type Input<R> = InputPart<R, 'params'> & InputPart<R, 'query'> & InputPart<R, 'headers'> & InputPart<R, 'body'>;
type Output<R> = R extends { success: { stream: readonly string[] } }
  ? Response
  : R extends { success: { body: infer S extends z.ZodType } }
    ? z.output<S>
    : undefined;

/** The response of a repeated call: only the first response has the secrets. */
type Repeated<R> = R extends { idempotent: { secrets: readonly (infer Secret extends string)[] } }
  ? Omit<Output<R>, Secret> & Partial<Pick<Output<R>, Secret & keyof Output<R>>>
  : Output<R>;

type CallResult<R, I> = I extends { headers: { 'idempotency-key': string } } ? Repeated<R> : Output<R>;

type Call<R> =
  {} extends Input<R>
    ? <I extends Input<R>>(input?: I) => Promise<CallResult<R, I>>
    : <I extends Input<R>>(input: I) => Promise<CallResult<R, I>>;

/**
 * One method for each operation of `/openapi.json`, in groups: `client.apiKeys.create({ body })`. A method takes `{ params,
 * query, headers, body }`, and returns the body of the response.
 */
export type Client = {
  [Group in keyof typeof routes]: { [Name in keyof (typeof routes)[Group]]: Call<(typeof routes)[Group][Name]> };
};

/** How a client reaches the API, and as whom: give `apiKey` or `accessToken`, or neither for calls that need none. */
export interface ConnectionOptions {
  /** Where Keyledger is, such as `https://keys.example.com`. */
  readonly baseUrl: string;
  /** Sent as X-API-Key. */
  readonly apiKey?: string;
  /** Sent as Authorization: Bearer. */
  readonly accessToken?: string;
  /** Sent with every request. */
  readonly headers?: Record<string, string>;
  /** Sends the requests. The default is the `fetch` of the runtime. */
  readonly fetch?: typeof fetch;
}

export interface ClientOptions extends ConnectionOptions {
  /** Whether calls that create something get an `Idempotency-Key` if they have none, so that `fetch` may repeat them. */
  readonly idempotencyKeys?: boolean;
  /** Whether responses may have fields that this version does not know, because the server may be a later one. */
  readonly anyVersion?: boolean;
}

/**
 * A client for the whole API. Every method takes `{ params, query, headers, body }` as its route declares them, and
 * returns the parsed response; for a stream, it returns the `Response` itself. A `search` may be a complete key: the
 * client sends no more of it than lists show.
 * @throws ApiError for every problem response; UnexpectedResponse for a response that violates the contract;
 * SecretInAddress for a secret key anywhere else in the URL; LostSecrets only with `idempotencyKeys`
 */
export function createClient(options: ClientOptions): Client {
  const groups = Object.entries(routes).map(([group, members]) => [
    group,
    Object.fromEntries(
      Object.entries(members).map(([name, route]) => [name, (input?: AnyInput) => call(options, route, input ?? {})]),
    ),
  ]);
  // The type `Client` is derived from the same table.
  return Object.fromEntries(groups) as Client;
}

/** ETags by response. */
const entityTags = new WeakMap<object, string>();

/** The ETag of a response of this client, for `If-Match`. */
export function entityTagOf(result: object): string | undefined {
  return entityTags.get(result);
}

interface AnyInput {
  headers?: Record<string, string>;
  params?: Record<string, unknown>;
  query?: Record<string, string | number | undefined>;
  body?: unknown;
}

async function call(options: ClientOptions, route: Route, input: AnyInput): Promise<unknown> {
  const send = options.fetch ?? fetch;
  const hasOwnKey = options.idempotencyKeys && !input.headers?.['idempotency-key'];
  const { idempotent } = route;
  const response = await send(`${options.baseUrl.replace(/\/$/, '')}${pathOf(route, input)}`, {
    method: route.method,
    // A redirect could lead the credential and the body to another server.
    redirect: 'error',
    headers: {
      ...options.headers,
      ...input.headers,
      ...(hasOwnKey && idempotent && { 'Idempotency-Key': crypto.randomUUID() }),
      ...(options.apiKey && { 'X-API-Key': options.apiKey }),
      ...(options.accessToken && { Authorization: `Bearer ${options.accessToken}` }),
      ...(input.body !== undefined && { 'Content-Type': 'application/json' }),
    },
    ...(input.body !== undefined && { body: JSON.stringify(input.body) }),
  });
  // An attempt whose response was lost has deleted it. If the response would have a body, that is lost.
  const isGone = response.status === 404 && route.method === 'DELETE' && !route.success.body && isRepeated(response);
  if (isGone) return undefined;
  if (!response.ok) throw new ApiError(await read(response, Problem, options), response.headers);
  if (route.success.stream) return response;
  const isReplayed = response.headers.has('idempotent-replayed');
  const body = isReplayed ? bodyWhenRepeated(route) : route.success.body;
  const result = body && (await read(response, body, options));
  if (hasOwnKey && isReplayed && idempotent?.secrets.length) throw new LostSecrets(result);
  const etag = response.headers.get('etag');
  if (etag && typeof result === 'object' && result !== null) entityTags.set(result, etag);
  return result;
}

/** An error of the connection passes as it is. */
async function read<S extends z.ZodType>(
  response: Response,
  schema: S,
  { anyVersion }: ClientOptions,
): Promise<z.output<S>> {
  const text = await response.text();
  try {
    const value: unknown = JSON.parse(text);
    return anyVersion ? parseFromLaterVersion(schema, value) : schema.parse(value);
  } catch (error) {
    // The error of JSON quotes the text.
    throw new UnexpectedResponse(response.status, error instanceof SyntaxError ? undefined : error);
  }
}

function pathOf(route: Route, input: AnyInput): string {
  const path = fillPath(route, (name) => String(input.params?.[name]));
  const query = new URLSearchParams(
    Object.entries(input.query ?? {}).flatMap(([name, value]) => {
      if (value === undefined) return [];
      return [[name, SEARCHED_TEXTS.includes(name) ? searchTermOf(String(value)) : String(value)]];
    }),
  ).toString();
  const address = query ? `${path}?${query}` : path;
  if (holdsSecret(address)) throw new SecretInAddress();
  return address;
}
