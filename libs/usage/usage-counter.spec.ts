import { expect, it } from '@jest/globals';
import type { EventEnvelope } from '#libs/contract/events.js';
import { countByKey } from './usage-counter.js';

const org = 'org_01m7x8e2jmepwajdepw3q2qspf';
const key = 'key_01m7x8e321e0c9ct382g7f705r';
const other = 'key_01m7x8e321e0c9ct382g7f705s';

function received(type: string, subject: string, time: string, data: object = {}) {
  const envelope = {
    specversion: '1.0',
    id: '01a1fa87-0cbf-7692-980d-109b3f69b0a6',
    source: 'x',
    type,
    time,
    subject,
    datacontenttype: 'application/json',
    data: {
      organization_id: org,
      actor: { type: 'anonymous', id: null },
      ip: null,
      user_agent: null,
      request_id: 'r',
      seq: 0,
      method: null,
      path: null,
      scopes: [],
      ...data,
    },
  } as EventEnvelope;
  return { entry: new Uint8Array(), envelope };
}

const used = (subject: string, time: string) =>
  received('api_key.used', subject, time, { secret_id: 'secret_01m7x8e321ef0vf5jtqxppnjy4', cost: 1 });
const denied = (subject: string, time: string, count: number) =>
  received('api_key.denied', subject, time, { code: 'expired', count });

it('uses and refusals are counted for each key, with the last of each, in whatever order they arrive', () => {
  const counts = countByKey([
    used(key, '2026-11-20T10:00:02.000Z'),
    used(key, '2026-11-20T10:00:01.000Z'),
    denied(key, '2026-11-20T10:00:03.000Z', 15),
    denied(key, '2026-11-20T10:00:04.000Z', 1),
    used(other, '2026-11-20T10:00:05.000Z'),
    received('api_key.rotated', other, '2026-11-20T10:00:06.000Z'),
  ]);
  expect(Object.fromEntries(counts)).toEqual({
    [key]: {
      uses: 2,
      denials: 16,
      lastUsedAt: '2026-11-20T10:00:02.000Z',
      lastDeniedAt: '2026-11-20T10:00:04.000Z',
    },
    [other]: { uses: 1, denials: 0, lastUsedAt: '2026-11-20T10:00:05.000Z', lastDeniedAt: null },
  });
});
