import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { INestApplicationContext } from '@nestjs/common';
import fc from 'fast-check';
import { ApiKeyStatus } from '#libs/contract/api-key-schemas.js';
import type { Client } from '#libs/client/client.js';
import { builtModule } from '../support/built-module.js';
import { movableClock, startDeployment, startWorker, type Account, type Deployment } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { outcomeOf } from '../support/rejection.js';

const { ExpiryNotices } = await builtModule<typeof import('#libs/api-keys/expiry-notices.js')>(
  '#libs/api-keys/expiry-notices.js',
);
const { DatabaseClock } = await builtModule<typeof import('#libs/platform/clock.js')>('#libs/platform/clock.js');

/**
 * Compares the life of a key over HTTP with a simple model, which has flags and hours instead of timestamps: the status
 * that the API shows, the result of verifying each secret, and the events in the audit log. The test moves the clock.
 */

let deployment: Deployment;
let worker: INestApplicationContext;
let ada: Account;
let manager: Client;
let ask: Client['apiKeys']['verify'];
/** How far the clocks of the API and the worker are ahead of the database's. */
let ahead = 0;
/** Moves both clocks. */
let advance: (milliseconds: number) => void;

beforeAll(async () => {
  deployment = await startDeployment();
  worker = await startWorker(deployment.database);
  const advanceWorker = movableClock(worker.get(DatabaseClock));
  advance = (milliseconds) => {
    ahead += milliseconds;
    deployment.advance(milliseconds);
    advanceWorker(milliseconds);
  };
  ada = await deployment.account();
  // A key does not expire while days pass, as a session would.
  const { key } = await ada.client.apiKeys.create({
    body: { name: 'Manager', scopes: ['api-keys:manage', 'api-keys:verify', 'audit:read', 'triggers:*'] },
  });
  manager = deployment.client({ apiKey: key });
  ask = manager.apiKeys.verify;
});

afterAll(async () => {
  await worker.close();
  await deployment.stop();
});

const HOUR = 3_600_000;

type Step =
  | { readonly do: 'disable' | 'enable' | 'revoke' | 'delete' | 'rename' | 'look' }
  | { readonly do: 'rotate'; readonly graceHours: number }
  | { readonly do: 'expire'; readonly inHours: number | null }
  | { readonly do: 'wait'; readonly hours: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('disable', 'enable', 'rename', 'look') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('revoke', 'delete') }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('rotate'), graceHours: fc.constantFrom(0, 2, 20) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('expire'), inHours: fc.constantFrom(-1, 1, 5, 30, null) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('wait'), hours: fc.constantFrom(1, 3, 12) }) },
);

/** Times are in hours since the start. A step at the same hour as an end happens after it. */
interface Model {
  now: number;
  expires: number | null;
  isDisabled: boolean;
  isRevoked: boolean;
  isDeleted: boolean;
  /** When each secret ends. */
  ends: (number | null)[];
  events: string[];
  hasExpired: boolean;
}

function statusIn(model: Model): ApiKeyStatus {
  if (model.isRevoked) return 'revoked';
  if (model.hasExpired) return 'expired';
  return model.isDisabled ? 'disabled' : 'active';
}

/** @returns the expected outcome of the call */
function apply(model: Model, step: Step): string {
  if (model.isDeleted) return 'not_found';
  const hasEnded = model.isRevoked || model.hasExpired;
  switch (step.do) {
    case 'revoke':
      if (!model.isRevoked) model.events.push('api_key.revoked');
      model.isRevoked = true;
      return 'done';
    case 'delete':
      model.events.push('api_key.revoked');
      model.isRevoked = model.isDeleted = true;
      return 'done';
    default:
  }
  if (hasEnded) return 'conflict';
  switch (step.do) {
    case 'disable':
      if (!model.isDisabled) model.events.push('api_key.disabled');
      model.isDisabled = true;
      return 'done';
    case 'enable':
      if (model.isDisabled) model.events.push('api_key.enabled');
      model.isDisabled = false;
      return 'done';
    case 'rename':
      model.events.push('api_key.updated');
      return 'done';
    case 'expire': {
      const expires = step.inHours === null ? null : model.now + step.inHours;
      if (expires === null && model.expires === null) return 'done';
      if (expires !== null && expires <= model.now) return 'invalid_request';
      // The new expiry always differs by some milliseconds.
      model.events.push('api_key.updated');
      model.expires = expires;
      return 'done';
    }
    case 'rotate':
      model.events.push('api_key.rotated');
      model.ends = [
        ...model.ends.map((end) => (end === null ? model.now + step.graceHours : Math.min(end, model.now))),
        null,
      ];
      return 'done';
    default:
      throw new Error(step.do);
  }
}

let names = 0;

function call(id: string, step: Step): Promise<{ key?: string } | void> {
  const params = { id };
  const { apiKeys } = manager;
  switch (step.do) {
    case 'expire': {
      // A second before the full hour, because the worker ignores an expiry until half a second after it.
      const inMs = step.inHours === null ? null : step.inHours * HOUR - 1_000;
      const at = inMs === null ? null : new Date(Date.now() + ahead + inMs).toISOString();
      return apiKeys.update({ params, body: { expires_at: at } }).then(() => undefined);
    }
    case 'rotate':
      return apiKeys.rotate({ params, body: { grace_period_seconds: step.graceHours * 3600 } });
    case 'rename':
      names += 1;
      return apiKeys.update({ params, body: { name: `Renamed ${names}` } }).then(() => undefined);
    case 'disable':
    case 'enable':
    case 'revoke':
      return apiKeys[step.do]({ params }).then(() => undefined);
    case 'delete':
      return apiKeys.delete({ params });
    default:
      throw new Error(step.do);
  }
}

async function expectAsModelled(id: string, secrets: readonly string[], model: Model): Promise<void> {
  const status = statusIn(model);
  const { apiKeys } = manager;
  let read: string | undefined;
  const reading = (async () => {
    read = (await apiKeys.get({ params: { id } })).status;
  })();
  const [outcome, lists, codes] = await Promise.all([
    outcomeOf(reading),
    Promise.all(
      ApiKeyStatus.options.map(async (wanted) => {
        const { data } = await apiKeys.list({ query: { status: wanted, limit: 100 } });
        return data.some((key) => key.id === id) ? wanted : null;
      }),
    ),
    Promise.all(secrets.map(async (key) => (await ask({ body: { key } })).code)),
  ]);
  expect({ shown: read ?? outcome, lists: lists.filter(Boolean), codes }).toEqual({
    shown: model.isDeleted ? 'not_found' : status,
    lists: model.isDeleted ? [] : [status],
    codes: model.ends.map((end) => {
      if (end !== null && end <= model.now) return 'revoked';
      return status === 'active' ? 'valid' : status;
    }),
  });
}

async function eventsOf(id: string): Promise<string[]> {
  await allIngested(deployment);
  const { data } = await manager.audit.listEvents({ query: { key_id: id, order: 'asc', limit: 100 } });
  return data
    .map(({ event }) => event.type)
    .filter((type) => !['api_key.created', 'api_key.used', 'api_key.denied', 'api_key.expiring'].includes(type));
}

it('a key behaves like a model, for any operations and any passage of time', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 10 }), async (steps) => {
      const began = ahead;
      const { id, key } = await manager.apiKeys.create({ body: { name: 'Subject', scopes: ['triggers:read'] } });
      const secrets = [key];
      const model: Model = {
        now: 0,
        expires: null,
        isDisabled: false,
        isRevoked: false,
        isDeleted: false,
        ends: [null],
        events: [],
        hasExpired: false,
      };
      for (const step of steps) {
        if (step.do === 'look') await worker.get(ExpiryNotices).run();
        else if (step.do === 'wait') {
          advance(step.hours * HOUR);
          model.now += step.hours;
          const comes = model.expires !== null && model.expires <= model.now;
          if (comes && !model.isRevoked && !model.hasExpired) model.events.push('api_key.expired');
          model.hasExpired ||= comes && !model.isRevoked;
        } else {
          const made = call(id, step);
          const expected = apply(model, step);
          expect({ step, outcome: await outcomeOf(made) }).toEqual({ step, outcome: expected });
          const secret = expected === 'done' && step.do === 'rotate' && (await made)?.key;
          if (secret) secrets.push(secret);
        }
        await expectAsModelled(id, secrets, model);
      }
      await worker.get(ExpiryNotices).run();
      await worker.get(ExpiryNotices).run();
      // The worker records an expiry when it finds it, so the event may follow events that happened later.
      expect((await eventsOf(id)).toSorted()).toEqual(model.events.toSorted());
      advance(began - ahead);
    }),
    {
      numRuns: 8,
      // An expiry that disabling once hid, and ends that follow each other.
      examples: [
        [
          [
            { do: 'expire', inHours: 1 },
            { do: 'disable' },
            { do: 'wait', hours: 3 },
            { do: 'expire', inHours: 30 },
            { do: 'enable' },
            { do: 'rotate', graceHours: 2 },
          ],
        ],
        [
          [
            { do: 'rotate', graceHours: 20 },
            { do: 'expire', inHours: 1 },
            { do: 'wait', hours: 1 },
            { do: 'revoke' },
            { do: 'look' },
            { do: 'delete' },
          ],
        ],
      ],
    },
  );
});
