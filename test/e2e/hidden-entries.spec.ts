import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { toUuid } from '#libs/contract/ids.js';
import { shardOf } from '#libs/outbox/shard.js';
import { checkedLogs, fillAuditLog } from '../support/audit-log.js';
import { event, store } from '../support/events.js';
import { keyNumber, newOrganization, startIngesting, type Ingesting } from '../support/ingesting.js';

let place: Ingesting;
let organizationId: string;

beforeAll(async () => {
  place = await startIngesting();
  organizationId = await newOrganization(place.sql);
  await fillAuditLog(place.sql, 600, { organizationId, apiKeyId: keyNumber(1), data: {}, path: '/v1/' });
});

afterAll(() => place.stop());

const check = async () => (await checkedLogs(place.sql, organizationId))[0];
const hideBelow = (leaf: number) =>
  place.sql.query('UPDATE audit_log SET minimum_index = $2 WHERE organization_id = $1', [toUuid(organizationId), leaf]);

it('entries that a superuser hides are found by the check of the log', async () => {
  await hideBelow(256);
  const difference = 'its head hides the entries below leaf 256, and its events say that 0 were pruned';
  expect(await check()).toMatchObject({ minimum: 256, difference });
});

it('the check finds nothing wrong while the event of a pruning waits for the worker, and after it', async () => {
  const pruned = { type: 'audit_log.pruned', subject: organizationId, data: { from: 0, below: 256 } };
  await store(place.sql, organizationId, [event(organizationId, pruned)]);
  expect(await check()).toMatchObject({ minimum: 256, difference: null });
  await place.ingester.ingest([shardOf(organizationId)]);
  expect(await check()).toMatchObject({ minimum: 256, difference: null });
});

it('entries that a superuser hides after a pruning are found as well', async () => {
  await hideBelow(512);
  const difference = 'its head hides the entries below leaf 512, and its events say that 256 were pruned';
  expect(await check()).toMatchObject({ minimum: 512, difference });
});
