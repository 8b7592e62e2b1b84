import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { FieldError } from '#libs/contract/problem.js';
import type { Route } from '#libs/contract/route.js';
import { invalidInput, MAX_ERRORS, type DomainError } from '../errors.js';
import { locate } from './location.js';
import { unsupportedHeaders } from './unsupported-headers.js';

const nothing = z.strictObject({});
const anyHeaders = z.object({});

/**
 * Validates a request against its route. Reports all errors at once, and rejects input that the route does not declare.
 * Of headers, it rejects those that would keep a change from being made: clients and proxies add many others.
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
  return [{ location: locate([part, ...issue.path]), message: decapitalize(issue.message) }];
}

function decapitalize(message: string): string {
  return `${message[0]?.toLowerCase() ?? ''}${message.slice(1)}`;
}
