import { describe, expect, it } from '@jest/globals';
import type { EventEnvelope } from '#libs/contract/events.js';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import { sentenceOf, wordsOf } from './event-sentence.js';

const names: Record<string, string> = {
  user_01m7x8e2jmeab9mr1vyfg3p508: 'Ada',
  key_01m7x8e321e0c9ct382g7f705r: 'Production server',
};
const [user, key] = Object.keys(names);

function sentence(type: string, subject: string, data: Record<string, unknown>, actor = 'user'): string {
  const event = {
    specversion: '1.0',
    id: '01a1fa87-0cbf-7692-980d-109b3f69b0a6',
    source: 'https://keys.example.com',
    type,
    time: '2026-11-20T19:55:17.055Z',
    subject,
    datacontenttype: 'application/json',
    data: {
      organization_id: 'org_01m7x8e2jmepwajdepw3q2qspf',
      actor: { type: actor, id: actor === 'system' ? null : user! },
      ip: null,
      user_agent: null,
      request_id: 'req_1',
      seq: 7,
      ...data,
    },
  } as EventEnvelope;
  return sentenceOf(event)
    .map((part) => wordsOf(part, (id) => names[id] ?? id))
    .join('');
}

describe('the sentence of an event', () => {
  it.each([
    [
      'user.updated',
      user!,
      { subject: { name: 'Ada' }, changes: { name: { before: 'Ada', after: 'Ada King' } } },
      'user',
      'Ada changed the name of their account',
    ],
    ['api_key.revoked', key!, { deleted: false }, 'user', 'Ada revoked the key Production server'],
    ['api_key.revoked', key!, { deleted: true }, 'operator', 'Ada (operator) deleted the key Production server'],
    [
      'api_key.revoked',
      key!,
      { deleted: false, because: 'member_removed' },
      'user',
      'The key Production server was revoked because its member was removed',
    ],
    [
      'api_key.leaked',
      key!,
      { secret_id: 'secret_01m7x8e321ef0vf5jtqxppnjy4', source: 'gitleaks', url: 'https://x.example/a', revoked: true },
      'anonymous',
      'A secret of the key Production server was found in a public place. Reported: https://x.example/a',
    ],
    [
      'api_key.revoked',
      key!,
      { deleted: false, because: 'leaked' },
      'system',
      'The key Production server was revoked because a secret of it was found in a public place',
    ],
    [
      'api_key.denied',
      key!,
      { method: 'GET', path: '/orders', code: 'rate_limited', scopes: [], count: 1200 },
      'user',
      'Production server was denied 1,200 times for GET /orders: too many requests',
    ],
    [
      'api_key.denied',
      key!,
      { method: null, path: null, code: 'insufficient_scope', count: 40, summary: true },
      'api_key',
      'Production server was denied 40 times for other requests: a scope is missing',
    ],
    [
      'api_key.denied',
      key!,
      { method: null, path: null, code: 'insufficient_scope', count: 1, summary: true },
      'api_key',
      'Production server was denied for another request: a scope is missing',
    ],
    [
      'api_key.denied',
      key!,
      { surface: 'management', method: 'GET', path: '/api/v1/whoami', code: 'disabled', scopes: [], count: 1 },
      'api_key',
      'Production server was denied by Keyledger’s own API for GET /api/v1/whoami: the key is disabled',
    ],
    [
      'api_key.used',
      key!,
      { surface: 'management', method: 'GET', path: '/api/v1/whoami', cost: 0, scopes: [] },
      'api_key',
      'Production server called Keyledger for GET /api/v1/whoami',
    ],
    [
      'user.login_failed',
      DEPLOYMENT_ID,
      { count: 40 },
      'anonymous',
      'An unknown caller tried 40 times to sign in to accounts that do not exist',
    ],
    [
      'user.login_failed',
      DEPLOYMENT_ID,
      { count: 1 },
      'anonymous',
      'An unknown caller tried to sign in to an account that does not exist',
    ],
    ['member.role_changed', user!, { before: 'viewer', after: 'admin' }, 'user', 'Ada made Ada an admin (was viewer)'],
    ['credits.low', 'org', { balance: 1, low_below: 100 }, 'system', 'The balance fell to 1 credit, below 100'],
  ])('of %s to %s with %j by a %s says "%s"', (type, subject, data, actor, words) => {
    expect(sentence(type, subject, data, actor)).toBe(words);
  });

  it.each([
    [null, 'A record with an unknown number of events could not be read and waits in the quarantine as 7'],
    [1, '1 event could not be read and waits in the quarantine as 7'],
    [300, '300 events could not be read and wait in the quarantine as 7'],
  ])('of a quarantined record with %s events claims no more than is known', (count, words) => {
    const data = { quarantine_id: 7, sha256: 'ab', count };
    expect(sentence('event.quarantined', 'quarantine', data, 'system')).toBe(words);
  });

  it('prefers the names in the event to current names', () => {
    const actor = { type: 'user', id: user, name: 'Ada Byron', email: 'ada@example.com' };
    expect(
      sentence('member.removed', 'user_gone', {
        actor,
        subject: { name: 'Bob' },
        role: 'viewer',
        revoked_api_keys: 0,
      }),
    ).toBe('Ada Byron removed Bob');
    expect(sentence('member.removed', 'user_gone', { actor, role: 'viewer', revoked_api_keys: 0 })).toBe(
      'Ada Byron removed user_gone',
    );
    expect(sentence('invitation.revoked', 'inv_1', { actor, subject: { email: 'bob@example.com' } })).toBe(
      'Ada Byron withdrew the invitation of bob@example.com',
    );
  });

  it('names the operator, and in the audit log of the deployment also the organization', () => {
    const actor = { type: 'operator', id: user, name: 'Op' };
    const organization = { id: 'org_01m7x8e2jmepwajdepw3q2qspf', name: 'Engines' };
    const told = (type: string, data: Record<string, unknown>) =>
      sentence(type, organization.id, { actor, organization, ...data });
    expect(told('organization.suspended', { reason: 'unpaid' })).toBe(
      'Op (operator) suspended the organization Engines: unpaid',
    );
    expect(told('credits.granted', { amount: 5, balance: 5, reason: null })).toBe(
      'Op (operator) added 5 credits to Engines',
    );
    const reads = Array.from({ length: 4 }, () => ({ method: 'GET', path: '/x', request_id: 'req_1' }));
    expect(told('operator.read', { method: 'GET', path: '/x', reads })).toBe(
      'Op (operator) read /x and 3 more of Engines',
    );
  });

  it('of an unknown type or shape names the type', () => {
    expect(sentence('robot.was_greeted', 'Robby', {})).toBe('Ada: robot was greeted (Robby)');
    expect(sentence('api_key.denied', key!, { code: 'not_yet_invented' })).toBe(
      'Ada: api key denied (Production server)',
    );
  });
});
