import { z } from 'zod';

/** RFC 9110, section 13.1.1: one entity tag of an earlier response. */
export const ifMatch = z.object({
  'if-match': z
    .string()
    .regex(/^"\d+"$/, 'must be the ETag of an earlier response, with its quotes')
    .optional()
    .meta({
      description:
        'The ETag of an earlier response. If the object has changed since, nothing is done, and the response is 412',
    }),
});

/** The tag of a version: it changes with every change of the object. */
export function etagOf(version: number): string {
  return `"${version}"`;
}
