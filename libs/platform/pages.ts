import { invalidInput, type DomainError } from './errors.js';

export interface PageRequest {
  readonly limit: number;
  /** The last item of the previous page, from the cursor. */
  readonly after: string | undefined;
}

/**
 * Reads `limit` and `cursor`. Cursors are opaque to callers: their content may change.
 * @throws DomainError for a cursor that we did not make.
 */
export function pageRequest(
  query: { limit: number; cursor?: string | undefined },
  isOurs: (text: string) => boolean,
): PageRequest {
  if (query.cursor === undefined) return { limit: query.limit, after: undefined };
  const after = Buffer.from(query.cursor, 'base64url').toString();
  if (!isOurs(after)) throw badCursor();
  return { limit: query.limit, after };
}

export function badCursor(): DomainError {
  return invalidInput({
    location: 'query.cursor',
    message: 'must be a cursor of an earlier response to the same query',
  });
}

/**
 * Cuts a page from a result that was queried with one item more than the limit. The extra item shows that there is a
 * next page.
 */
export function pageOf<T>(found: readonly T[], page: PageRequest, positionOf: (item: T) => string) {
  const items = found.slice(0, page.limit);
  const last = items.at(-1);
  const nextCursor = found.length > items.length && last ? Buffer.from(positionOf(last)).toString('base64url') : null;
  return { items, nextCursor };
}
