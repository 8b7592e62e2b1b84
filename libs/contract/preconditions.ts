import { z } from 'zod';

/** RFC 9110, section 13.1.1: one entity tag, as an earlier response had it. */
export const ifMatch = z.object({
  'if-match': z
    .string()
    .regex(/^"\d+"$/, 'must be the ETag of an earlier response, with its quotes')
    .optional(),
});

/** The tag of a version: every change of the object has another. */
export function etagOf(version: number): string {
  return `"${version}"`;
}
