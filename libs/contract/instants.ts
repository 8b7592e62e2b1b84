import { z } from 'zod';

/** The range that both PostgreSQL and RFC 3339 can write. */
const EARLIEST = Date.parse('0001-01-01T00:00:00Z');
const LATEST = Date.parse('9999-12-31T23:59:59.999Z');

const MESSAGE = 'must be an instant such as 2026-03-01T12:00:00Z or 2026-03-01T13:00:00+01:00';

/** An unescaped `+` in a query arrives as a blank. */
const LOST_PLUS = /T[\d:.]+ \d\d:?\d\d$/;

/**
 * An instant with any offset (RFC 3339), converted to UTC: the database accepts fewer offsets, and two notations of one
 * instant must be the same request.
 */
export const Instant = z.iso
  .datetime({
    offset: true,
    abort: true,
    error: ({ input }) =>
      typeof input === 'string' && LOST_PLUS.test(input) ? `${MESSAGE}; in a query, write %2B for +` : MESSAGE,
  })
  .refine((text) => Date.parse(text) >= EARLIEST && Date.parse(text) <= LATEST, {
    message: 'must lie within the years 1 to 9999 of UTC',
    abort: true,
  })
  .overwrite((text) => new Date(text).toISOString());
