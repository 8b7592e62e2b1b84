interface Page<Item> {
  readonly data: readonly Item[];
  readonly next_cursor: string | null;
}

/**
 * Yields the items of all pages of a list: `for await (const key of eachItem((cursor) => client.apiKeys.list({ query: {
 * cursor } })))`. Reads a page when its first item is needed.
 *
 * @param read reads the page at a cursor: none for the first, or a `next_cursor`
 */
export async function* eachItem<Item>(read: (cursor?: string) => Promise<Page<Item>>): AsyncGenerator<Item, void> {
  for (let cursor: string | null | undefined; cursor !== null;) {
    const page: Page<Item> = await read(cursor);
    yield* page.data;
    cursor = page.next_cursor;
  }
}

/** Reads all pages of a list, one after the other. */
export async function allPages<Item>(read: (cursor?: string) => Promise<Page<Item>>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of eachItem(read)) all.push(item);
  return all;
}
