import { z } from 'zod';
import type { Route } from './route.js';

/** The header field `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header), with or without quotes. */
export const idempotencyKey = z.object({
  'idempotency-key': z
    .string()
    .max(255)
    .regex(/^[\x21-\x7e]+$/, 'must be up to 255 printable ASCII characters without spaces, such as a UUID')
    .optional()
    .meta({
      description:
        'A text that is new for each request, such as a UUID. For a day, the same request with the same key gets the ' +
        'first response again, without its secrets and with `Idempotent-Replayed: true`',
    }),
});

/** A component of the OpenAPI document has one definition, however many routes use it. */
const known = new Map<z.ZodType, z.ZodType>();

/** The response body of a repeated call: only the first response contains secrets. */
export function bodyWhenRepeated({ success: { body }, idempotent }: Route): z.ZodType | undefined {
  if (!(body instanceof z.ZodObject) || !idempotent?.secrets.length) return body;
  const made = known.get(body) ?? z.strictObject(withOptional(body.shape, idempotent.secrets)).meta(body.meta() ?? {});
  known.set(body, made);
  return made;
}

function withOptional(shape: z.ZodRawShape, fields: readonly string[]): z.ZodRawShape {
  return Object.fromEntries(
    Object.entries(shape).map(([name, field]) => [name, fields.includes(name) ? z.optional(field) : field]),
  );
}
