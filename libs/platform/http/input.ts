import type { IncomingHttpHeaders } from 'node:http';
import { z } from 'zod';
import type { FieldError } from '#libs/contract/problem.js';
import { SECRET_FIELDS, type Route, type RouteInput } from '#libs/contract/route.js';
import { invalidInput, MAX_ERRORS, type DomainError } from '../errors.js';
import { withoutSecrets } from '../redact.js';
import { locate } from './location.js';
import { unsupportedHeaders } from './unsupported-headers.js';

const nothing = z.strictObject({});
const ANY_HEADERS = z.object({}).safeParse({});

/** The parts of a request that a route validates. */
interface Parts {
  readonly params?: unknown;
  readonly query?: unknown;
  readonly headers: IncomingHttpHeaders;
  readonly body?: unknown;
}

/**
 * Validates a request against its route, and reports all errors at once. Rejects input that the route does not declare,
 * and secrets in texts that others can read. Of undeclared headers, it rejects only those that would keep a change from
 * being made: clients and proxies add many others.
 * @throws DomainError `invalid_request`
 */
export function parseInput<R extends Route>(route: R, request: Parts): RouteInput<R> {
  const params = (route.params ?? nothing).safeParse(paramsOf(route, request));
  const query = (route.query ?? nothing).safeParse(request.query ?? {});
  const headers = route.headers?.safeParse(request.headers) ?? ANY_HEADERS;
  // A route without a body accepts no body or an empty object, as some clients send one with every POST.
  const body = (route.body ?? nothing).safeParse(request.body === undefined ? {} : request.body);
  const errors = unsupportedHeaders(route, request.headers);
  for (const [part, { error }] of Object.entries({ params, query, headers, body })) {
    if (error) errors.push(...error.issues.flatMap((issue) => fieldErrors(part, issue)));
  }
  if (body.success) errors.push(...secretsIn(body.data, ['body']));
  if (headers.success) errors.push(...secretsIn(headers.data, ['headers']));
  if (errors.length > 0) throw invalidInput(...errors);
  return { params: params.data, query: query.data, headers: headers.data, body: body.data } as RouteInput<R>;
}

/**
 * For routes without an entry in the contract, such as files and documents: they have no query parameters.
 * @returns `invalid_request` if there is one
 */
export function queryFault(query: unknown): DomainError | undefined {
  const { error } = nothing.safeParse(query ?? {});
  return error && invalidInput(...error.issues.flatMap((issue) => fieldErrors('query', issue)));
}

/**
 * Validates a body that its route did not, because it was signed. Text in it may have secrets.
 * @throws DomainError `invalid_request`
 */
export function bodyOf<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const body = schema.safeParse(value);
  if (body.error) throw invalidInput(...body.error.issues.flatMap((issue) => fieldErrors('body', issue)));
  return body.data;
}

function paramsOf({ path }: Route, request: Parts): unknown {
  const [rest] = /(?<=\*)\w+$/.exec(path) ?? [];
  if (!rest) return request.params ?? {};
  const { '*': text, ...others } = request.params as Record<string, string>;
  return { ...others, [rest]: text };
}

function fieldErrors(part: string, issue: z.core.$ZodIssue): FieldError[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.slice(0, MAX_ERRORS + 1).map((key) => ({
      location: locate([part, ...issue.path, key]),
      message: 'is not a field here; leave it out or check its spelling',
    }));
  }
  // The fault is in the name of a member of a record. The inner issues say what it is.
  const { message } = issue.code === 'invalid_key' ? (issue.issues[0] ?? issue) : issue;
  return [{ location: locate([part, ...issue.path]), message }];
}

/** Finds each text, and each name in a record, that contains a secret. */
function secretsIn(value: unknown, path: readonly PropertyKey[]): FieldError[] {
  if (typeof value === 'string') return hasSecret(value) ? [{ location: locate(path), message: HAS_SECRET }] : [];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => {
    if (path.length === 1 && SECRET_FIELDS.has(name)) return [];
    if (hasSecret(name)) return [{ location: locate(path), message: HAS_SECRET }];
    return secretsIn(inner, [...path, Array.isArray(value) ? Number(name) : name]);
  });
}

const HAS_SECRET = 'must not contain a secret or a token: others can read it';

function hasSecret(text: string): boolean {
  return withoutSecrets(text) !== text;
}
