import { z } from 'zod';
import { idempotencyKey } from './idempotency.js';
import { idOf } from './ids.js';
import { nextCursor, pageQuery } from './lists.js';
import { defineRoute } from './route.js';

const tag = 'Credits';
const params = z.strictObject({ id: idOf('org') });

const Balance = z
  .strictObject({
    metered: z
      .boolean()
      .meta({ description: 'Whether uses are charged; an organization without a balance has no limit' }),
    balance: z.int().nullable(),
    low_below: z
      .int()
      .nullable()
      .meta({ description: 'When the balance falls below it, a credits.low event is recorded' }),
  })
  .meta({ id: 'Balance' });

const CreditGrant = z
  .strictObject({
    id: idOf('grant'),
    amount: z.int(),
    balance_after: z.int(),
    reason: z.string().nullable(),
    granted_by: idOf('user').nullable().meta({ description: 'Null for the initial credits of an organization' }),
    created_at: z.iso.datetime(),
  })
  .meta({ id: 'CreditGrant' });

const MAX_AMOUNT = 1_000_000_000_000;
const amount = z.int().min(1).max(MAX_AMOUNT);

export const getBalance = defineRoute({
  method: 'GET',
  path: '/api/v1/organizations/:id/credits',
  tag,
  summary: 'Read the balance that all keys of an organization share',
  policy: { scope: 'usage:read', organization: 'path', reach: 'organization' },
  params,
  success: { status: 200, body: Balance },
  problems: ['not_found', 'wrong_project'],
});

export const listGrants = defineRoute({
  method: 'GET',
  path: '/api/v1/organizations/:id/credits/grants',
  tag,
  summary: 'List the grants of credits, newest first',
  policy: { scope: 'usage:read', organization: 'path', reach: 'organization' },
  params,
  query: z.strictObject(pageQuery),
  success: {
    status: 200,
    body: z.strictObject({ data: z.array(CreditGrant), total: z.int(), next_cursor: nextCursor }),
  },
  problems: ['not_found', 'wrong_project'],
});

export const grantCredits = defineRoute({
  method: 'POST',
  path: '/api/v1/deployment/organizations/:id/credits',
  tag,
  summary: 'Grant credits to an organization',
  description:
    'The first grant makes the organization metered: from then on, uses are charged, and denied when the balance is used up.',
  policy: 'operator',
  params,
  headers: idempotencyKey,
  body: z.strictObject({
    amount,
    reason: z.string().trim().min(1).max(500).optional(),
    low_below: z.int().min(0).max(MAX_AMOUNT).optional().meta({ description: 'By default a tenth of the new balance' }),
  }),
  success: { status: 201, body: CreditGrant },
  idempotent: { secrets: [] },
  problems: ['conflict', 'not_found'],
});

export const removeBalance = defineRoute({
  method: 'DELETE',
  path: '/api/v1/deployment/organizations/:id/credits',
  tag,
  summary: 'Remove the balance of an organization: its uses are no longer charged',
  policy: 'operator',
  params,
  success: { status: 204 },
  problems: ['not_found'],
});
