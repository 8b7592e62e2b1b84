interface EventPage<Event> {
  readonly data: readonly Event[];
  readonly next_cursor: string | null;
  readonly scanned_to: number | null;
}

/**
 * Reads a page of the audit log that has `limit` events, unless fewer match. The API pauses a long search, and returns a
 * page with fewer events and a cursor.
 * @param read reads up to so many events, from the cursor on: none, or a `next_cursor`
 * @param onPause receives the leaf index at which the search paused
 */
export async function fullPage<Event, P extends EventPage<Event>>(
  limit: number,
  read: (limit: number, cursor?: string) => Promise<P & EventPage<Event>>,
  onPause: (scannedTo: number) => void = () => undefined,
  signal?: AbortSignal,
): Promise<P & { data: Event[] }> {
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
