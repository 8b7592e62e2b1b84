import type { z } from 'zod';

/**
 * Parses what a later version of the server may have sent: it can have fields that this version does not know, and is
 * otherwise the same.
 *
 * @param schema without transformations
 * @throws ZodError if anything else is wrong
 */
export function parseFromLaterVersion<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const { success, data, error } = schema.safeParse(value);
  if (success) return data;
  if (error.issues.every(({ code }) => code === 'unrecognized_keys')) return value as z.output<S>;
  throw error;
}
