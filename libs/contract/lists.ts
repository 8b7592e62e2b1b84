import { z } from 'zod';
import { LONGEST_SEARCH, searchTermOf } from '#libs/api-key-format/search-term.js';
import { wholeNumber } from './whole-number.js';

/** As many as one page may hold. */
export const PAGE_MAX = 100;

/** What every list takes. The cursor is opaque: pass it back as it came. */
export const pageQuery = {
  limit: wholeNumber(1, PAGE_MAX).default(50),
  cursor: z.string().min(1).max(500).optional(),
};

/** What a list is searched for. Of a key that was given whole, no more than its beginning goes any further. */
export const searchText = z
  .string()
  .trim()
  .min(1)
  .max(LONGEST_SEARCH)
  .transform((text) => searchTermOf(text))
  .pipe(z.string().min(1));

export const nextCursor = z
  .string()
  .nullable()
  .meta({ description: 'Pass it as `cursor` for the next page; null on the last one' });

/** Of lists that are paged both ways. */
export const previousCursor = z
  .string()
  .nullable()
  .meta({ description: 'Pass it as `cursor` for the page before; null where nothing comes before' });

const MOST_VALUES = 20;

/** Several values in one parameter of a query, with commas between them. */
export function commaSeparated<Item extends z.ZodType<string, string>>(item: Item, most = MOST_VALUES) {
  return z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(item).max(most));
}
