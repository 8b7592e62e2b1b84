/** How queries ask for the next page of a list of ours. */
export const paged = {
  initialPageParam: undefined as string | undefined,
  getNextPageParam: ({ next_cursor: cursor }: { readonly next_cursor: string | null }) => cursor,
};
