import { z } from 'zod';
import { LONGEST_SEARCH, searchTermOf } from '#libs/api-key-format/search-term.js';
import { wholeNumber } from './whole-number.js';

/** The most items on a page. */
export const PAGE_MAX = 100;

/** Parameters of every list. The cursor is opaque: callers pass it back unchanged. */
export const pageQuery = {
  limit: wholeNumber(1, PAGE_MAX).default(50),
  cursor: z.string().min(1).max(500).optional(),
};

/** Search text of a list. Of a complete key, only the beginning is used further. */
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

/** For lists that page in both directions. */
export const previousCursor = z
  .string()
  .nullable()
  .meta({ description: 'Pass it as `cursor` for the page before; null on the first one' });

/** `?flag=true`. The default is false. */
export const flag = z.enum(['true', 'false']).default('false');

const MOST_VALUES = 20;

/** Several values in one query parameter, separated by commas. */
export function commaSeparated<Item extends z.ZodType<string, string>>(item: Item, most = MOST_VALUES) {
  return z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(item).max(most));
}
