import type { IncomingHttpHeaders } from 'node:http';
import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import { idOf } from '#libs/contract/ids.js';
import { Scope } from '#libs/contract/scopes.js';
import { DomainError, invalidInput } from '#libs/platform/errors.js';
import { recordedPath } from '#libs/platform/request-path.js';

/** What the gateway asks of the key that a request came with. */
export interface Policy {
  readonly scopes: readonly string[];
  readonly projectId: string | undefined;
  readonly cost: number;
}

const scopes = z
  .string()
  .transform((text) => text.split(/[ ,]+/).filter(Boolean))
  .pipe(z.array(Scope).max(20));

const Policy = z
  .object({
    scope: scopes.default([]),
    project: idOf('proj').optional(),
    cost: z.coerce.number().int().min(0).max(1_000_000).default(1),
  })
  .transform(({ scope, project, cost }): Policy => ({ scopes: scope, projectId: project, cost }));

const NO_POLICY: Policy = { scopes: [], projectId: undefined, cost: 1 };

/**
 * From the query of exactly `/authz`, which only the gateway's own settings can give.
 * @throws DomainError `invalid_request`: a gateway that is set up wrongly lets nobody pass
 */
function policyOfQuery(query: Readonly<Record<string, unknown>>): Policy {
  return parse('query', query);
}

const REMEMBERED = 1_000;

/** The same by its text: a gateway asks the same again and again. */
export class PolicyByUrl {
  readonly #known = new LRUCache<string, Policy>({ max: REMEMBERED });

  of(url: string, query: Readonly<Record<string, unknown>>): Policy {
    const known = this.#known.get(url);
    if (known) return known;
    const policy = policyOfQuery(query);
    this.#known.set(url, policy);
    return policy;
  }
}

/** From headers, where the path and its query are the client's. Only for a gateway that is known. */
export function policyOfHeaders(headers: IncomingHttpHeaders): Policy {
  return parse('headers', {
    scope: headers['x-authz-scope'],
    project: headers['x-authz-project'],
    cost: headers['x-authz-cost'],
  });
}

function parse(part: 'query' | 'headers', given: Readonly<Record<string, unknown>>): Policy {
  if (given['scope'] === undefined && given['project'] === undefined && given['cost'] === undefined) return NO_POLICY;
  const { data, error } = Policy.safeParse(given);
  if (data) return data;
  throw invalidInput(
    ...error.issues.map(({ path, message }) => ({ location: `${part}.${path[0]?.toString()}`, message })),
  );
}

/**
 * The one credential of the original request.
 * @throws DomainError `unauthenticated`, or `multiple_credentials` where it would be open whose request it is
 */
export function credentialOf({ 'x-api-key': apiKey, authorization }: IncomingHttpHeaders): string {
  if (authorization === undefined) {
    if (typeof apiKey !== 'string' || apiKey === '') throw new DomainError('unauthenticated');
    return apiKey;
  }
  const [, bearer] = /^bearer +(\S+) *$/i.exec(authorization) ?? [];
  if (!bearer) throw new DomainError('unauthenticated', 'Authorization must be Bearer, a space, and one credential');
  if (apiKey !== undefined && apiKey !== bearer) throw new DomainError('multiple_credentials');
  return bearer;
}

/** The request as its client sent it, by what a known gateway says of it: Caddy and Traefik, nginx, ingress-nginx. */
export function endpointSaid(headers: IncomingHttpHeaders): { method: string | null; path: string | null } {
  const method = headers['x-forwarded-method'] ?? headers['x-original-method'];
  const uri = headers['x-forwarded-uri'] ?? headers['x-original-uri'] ?? headers['x-original-url'];
  return {
    method: typeof method === 'string' ? method.slice(0, 20) : null,
    path: typeof uri === 'string' ? recordedPath(uri) : null,
  };
}
