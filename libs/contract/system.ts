import { z } from 'zod';
import { defineRoute } from './route.js';

export const live = defineRoute({
  method: 'GET',
  path: '/health/live',
  tag: 'Health',
  summary: 'Whether the process runs',
  policy: 'public',
  success: { status: 200, body: z.strictObject({ status: z.literal('ok') }) },
});

const check = z.strictObject({ status: z.enum(['ok', 'degraded', 'failing']), detail: z.string() });

export const ready = defineRoute({
  method: 'GET',
  path: '/health/ready',
  tag: 'Health',
  summary: 'Whether the process can do its work',
  description:
    'Responds with 503 with the same body while the database is away, or 200 where the cache then responds about keys ' +
    '(`ON_OUTAGE=allow`). What is `degraded` makes the audit log late and loses nothing, but for `durability` and `proxies`: their details say what is lost.',
  policy: 'public',
  success: {
    status: 200,
    body: z
      .strictObject({
        status: z.enum(['ok', 'failing']),
        checks: z.strictObject({ database: check, queue: check, outbox: check, durability: check, proxies: check }),
      })
      .meta({ id: 'Readiness' }),
  },
});

export const describeProblem = defineRoute({
  method: 'GET',
  path: '/problems/:code',
  tag: 'Problems',
  summary: 'What a problem code means and how to get past it',
  description: 'The `type` of every problem response leads here.',
  policy: 'public',
  params: z.strictObject({ code: z.string().min(1).max(100) }),
  success: {
    status: 200,
    body: z.strictObject({ code: z.string(), status: z.int(), title: z.string(), advice: z.string() }),
  },
  problems: ['not_found'],
});
