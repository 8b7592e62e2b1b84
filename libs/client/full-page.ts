interface SearchedPage<Item, Position> {
  readonly data: readonly Item[];
  readonly next_cursor: string | null;
  readonly scanned_to: Position | null;
}

/**
 * Reads a page of a search that has `limit` items, unless fewer match. The API pauses a long search, and returns a page
 * with fewer items and a cursor.
 * @param read reads up to so many events, from the cursor on: none, or a `next_cursor`
 * @param onPause receives the position at which the search paused
 */
export async function fullPage<Item, Position, P extends SearchedPage<Item, Position>>(
  limit: number,
  read: (limit: number, cursor?: string) => Promise<P & SearchedPage<Item, Position>>,
  onPause: (scannedTo: Position) => void = () => undefined,
  signal?: AbortSignal,
): Promise<P & { data: Item[] }> {
  const first = await read(limit);
  let page = first;
  const data = [...first.data];
  while (page.scanned_to !== null && page.next_cursor !== null && data.length < limit) {
    onPause(page.scanned_to);
    signal?.throwIfAborted();
    page = await read(limit - data.length, page.next_cursor);
    data.push(...page.data);
  }
  return { ...page, ...('previous_cursor' in first && { previous_cursor: first.previous_cursor }), data };
}
