import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { FieldError } from '#libs/contract/problem.js';
import { SECRET_FIELDS, type Route } from '#libs/contract/route.js';
import { invalidInput, MAX_ERRORS, type DomainError } from '../errors.js';
import { withoutSecrets } from '../redact.js';
import { locate } from './location.js';
import { unsupportedHeaders } from './unsupported-headers.js';

const nothing = z.strictObject({});
const anyHeaders = z.object({});

/**
 * Validates a request against its route, and reports all errors at once. Rejects input that the route does not declare,
 * and secrets in texts that others can read. Of undeclared headers, it rejects only those that would keep a change from
 * being made: clients and proxies add many others.
 * @returns the `RouteInput` of the route
 * @throws DomainError `invalid_request`
 */
export function parseInput(route: Route, request: FastifyRequest) {
  const parts = {
    params: (route.params ?? nothing).safeParse(paramsOf(route, request)),
    query: (route.query ?? nothing).safeParse(request.query ?? {}),
    headers: (route.headers ?? anyHeaders).safeParse(request.headers),
    // A route without a body accepts no body or an empty object, as some clients send one with every POST.
    body: (route.body ?? nothing).safeParse(request.body === undefined ? {} : request.body),
  };
  const errors = [
    ...unsupportedHeaders(route, request.headers),
    ...Object.entries(parts).flatMap(([part, result]) =>
      result.success ? [] : result.error.issues.flatMap((issue) => fieldErrors(part, issue)),
    ),
  ];
  const { body, headers } = parts;
  if (body.success) errors.push(...secretsIn(body.data, ['body']));
  if (headers.success) errors.push(...secretsIn(headers.data, ['headers']));
  if (errors.length > 0) throw invalidInput(...errors);
  return Object.fromEntries(Object.entries(parts).map(([part, result]) => [part, result.data]));
}

/**
 * For routes without an entry in the contract, such as files and documents: they have no query parameters.
 * @returns `invalid_request` if there is one
 */
export function queryFault(query: unknown): DomainError | undefined {
  const { error } = nothing.safeParse(query ?? {});
  return error && invalidInput(...error.issues.flatMap((issue) => fieldErrors('query', issue)));
}

function paramsOf({ path }: Route, request: FastifyRequest): unknown {
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
