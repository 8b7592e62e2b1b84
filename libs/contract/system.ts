import { z } from 'zod';
import { defineRoute } from './route.js';

export const live = defineRoute({
  method: 'GET',
  path: '/health/live',
  tag: 'Health',
  summary: 'Check that the process runs',
  policy: 'public',
  success: { status: 200, body: z.strictObject({ status: z.literal('ok') }) },
});

const check = z.strictObject({ status: z.enum(['ok', 'degraded', 'failing']), detail: z.string() });

export const ready = defineRoute({
  method: 'GET',
  path: '/health/ready',
  tag: 'Health',
  summary: 'Check that the process can do its work',
  description:
    'While the database is unavailable, responds with 503 and the same body, or with 200 if keys are then verified from ' +
    'the cache (`ON_OUTAGE=allow`). A `degraded` check delays the audit log and loses nothing, except `durability` and `proxies`: their details say what is lost.',
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
  summary: 'Explain a problem code',
  description: 'The `type` of every problem response is the address of this explanation.',
  policy: 'public',
  params: z.strictObject({ code: z.string().min(1).max(100) }),
  success: {
    status: 200,
    body: z.strictObject({ code: z.string(), status: z.int(), title: z.string(), advice: z.string() }),
  },
  problems: ['not_found'],
});
