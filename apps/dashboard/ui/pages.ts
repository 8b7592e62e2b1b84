/** Paging options of queries for the API's lists. */
export const paged = {
  initialPageParam: undefined as string | undefined,
  getNextPageParam: ({ next_cursor: cursor }: { readonly next_cursor: string | null }) => cursor,
};

interface ReadPages<T> {
  readonly data: { readonly pages: readonly { readonly data: readonly T[] }[] } | undefined;
  readonly isPlaceholderData: boolean;
}

/**
 * The rows of the pages that were read; undefined before that. That the search before found nothing says nothing of the
 * present one, so without rows it waits for the response.
 */
export function knownRows<T>({ data, isPlaceholderData }: ReadPages<T>): T[] | undefined {
  const rows = data?.pages.flatMap((page) => page.data);
  return rows?.length === 0 && isPlaceholderData ? undefined : rows;
}
