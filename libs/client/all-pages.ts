interface Page<Item> {
  readonly data: readonly Item[];
  readonly next_cursor: string | null;
}

/**
 * Reads all pages of a list, one after the other.
 * @param read reads the page at a cursor: none for the first, or a `next_cursor`
 */
export async function allPages<Item>(read: (cursor?: string) => Promise<Page<Item>>): Promise<Item[]> {
  const all: Item[] = [];
  for (let cursor: string | null | undefined; cursor !== null;) {
    const page: Page<Item> = await read(cursor);
    all.push(...page.data);
    cursor = page.next_cursor;
  }
  return all;
}
