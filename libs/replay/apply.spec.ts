import { describe, expect, it } from '@jest/globals';
import type { EventEnvelope } from '#libs/contract/events.js';
import { newEventId, newId } from '#libs/contract/ids.js';
import { applyEntry, applyWaiting } from './apply.js';
import { State } from './state.js';

const now = new Date('2026-11-20T10:00:00.000Z');
const organization = newId('org', now);
const user = newId('user', now);
const project = newId('proj', now);

interface Said {
  readonly type: string;
  readonly subject: string;
  readonly seq: number;
  readonly time?: string;
  readonly data?: Record<string, unknown>;
}

function event({ type, subject, seq, time, data }: Said): EventEnvelope {
  return {
    specversion: '1.0',
    id: newEventId(now),
    source: 'http://keyledger.test',
    type,
    time: time ?? now.toISOString(),
    subject,
    datacontenttype: 'application/json',
    data: {
      organization_id: organization,
      actor: { type: 'user', id: user },
      ip: null,
      user_agent: null,
      request_id: null,
      seq,
      ...data,
    },
  };
}

function created(key: string, seq: number) {
  const data = { secret_id: newId('secret', now), name: 'k', environment: 'test', scopes: [], expires_at: null };
  return event({
    type: 'api_key.created',
    subject: key,
    seq,
    data: { ...data, project_id: project, accountable_user_id: user },
  });
}

const use = (seq: number, cost = 1) =>
  event({
    type: 'api_key.used',
    subject: newId('key', now),
    seq,
    data: { method: null, path: null, cost, scopes: [], secret_id: newId('secret', now) },
  });

const granted = (seq: number, amount: number, balance: number) =>
  event({ type: 'credits.granted', subject: organization, seq, data: { amount, balance, reason: null } });

const removed = (seq: number, balance: number) =>
  event({ type: 'credits.removed', subject: organization, seq, data: { balance } });

function stateAfter(...events: readonly EventEnvelope[]): State {
  const state = new State();
  for (const one of events) applyEntry(state, one);
  return state;
}

describe('a balance', () => {
  it('is charged for the uses that were decided while it was there, in whatever order the log has them', () => {
    const state = stateAfter(
      use(4, 50),
      granted(5, 10, 10),
      // Decided before the grant, and stored after it.
      use(4, 50),
      use(5, 2),
      removed(6, 7),
      // Decided before the removal.
      use(5, 1),
      use(6, 50),
      granted(7, 3, 3),
      use(6, 50),
      use(7, 1),
    );
    expect(state.get('balance', organization)).toMatchObject({ balance: 2 });
    expect([...state.of('ended_balance').values()]).toEqual([expect.objectContaining({ balance: 7, removed: 7 })]);
  });

  it('is charged for uses that still wait in the outbox, which the worker has not counted', () => {
    const state = stateAfter(granted(5, 10, 10), use(5, 1));
    applyWaiting(state, use(5, 4));
    expect(state.get('balance', organization)).toMatchObject({ balance: 5 });
    expect([...state.of('usage_day').values()]).toEqual([{ count: 1, credits: 1 }]);
  });
});

describe('a mass revocation', () => {
  it('revokes the keys that were created before it, and each key’s event adds only a version', () => {
    const [before, after] = [newId('key', now), newId('key', now)];
    const at = '2026-11-20T11:00:00.000Z';
    const revocation = { revoked_api_keys: 1, revocation_id: newId('revocation', now) };
    const state = stateAfter(
      created(before, 4),
      created(after, 5),
      event({ type: 'project.deleted', subject: project, seq: 5, time: at, data: revocation }),
    );
    expect(state.get('api_key', before)).toMatchObject({ revoked_at: at, version: 1 });
    expect(state.get('api_key', after)).toMatchObject({ revoked_at: null });
    applyEntry(
      state,
      event({
        type: 'api_key.revoked',
        subject: before,
        seq: 5,
        time: '2026-11-20T12:00:00.000Z',
        data: { deleted: false, because: 'project_deleted', revoked_at: at },
      }),
    );
    expect(state.get('api_key', before)).toMatchObject({ revoked_at: at, updated_at: at, version: 2 });
  });
});

describe('an event of an earlier version', () => {
  it('leaves what it does not say unknown', () => {
    const key = newId('key', now);
    const state = stateAfter(created(key, 4));
    expect(state.get('api_key', key)).toMatchObject({ name: 'k', public_key: undefined });
  });
});

it('an event that this version does not know is refused, because it may change anything', () => {
  expect(() => stateAfter(event({ type: 'project.painted', subject: project, seq: 1 }))).toThrow('discriminator');
});
