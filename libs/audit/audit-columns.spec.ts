import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { EventEnvelope } from '#libs/contract/events.js';
import { fromUuid } from '#libs/contract/ids.js';
import { isWithin } from '#libs/contract/networks.js';
import { columnsOf } from './audit-columns.js';

const key = fromUuid('key', '01900000-0000-7000-8000-000000000001');
const project = fromUuid('proj', '01900000-0000-7000-8000-000000000002');

function columns(said: { type?: string; subject?: string; data?: object }) {
  return columnsOf(
    EventEnvelope.parse({
      id: '01a1fa87-0cbf-7692-980d-109b3f69b0a6',
      type: 'test.happened',
      time: '2026-11-20T19:55:17.055Z',
      subject: 'subject',
      ...said,
      data: {
        organization_id: fromUuid('org', '01900000-0000-7000-8000-000000000003'),
        actor: { type: 'anonymous', id: null },
        ...said.data,
      },
    }),
  );
}

it('the columns are taken from the event', () => {
  const place = { project_id: project, ip: '192.0.2.1', path: '/orders' };
  const data = {
    actor: { type: 'api_key', id: key },
    ...place,
    secret_id: 'secret_2',
    previous_secret_id: 'secret_1',
    verified_by: { id: 'key_1' },
    request_id: 'req_1',
  };
  expect(columns({ type: 'api_key.used', subject: key, data })).toEqual({
    type: 'api_key.used',
    keyId: key,
    projectId: project,
    actorId: key,
    subject: key,
    outcome: 'valid',
    ip: '192.0.2.1',
    path: '/orders',
    secretIds: ['secret_2', 'secret_1'],
    verifierIds: ['key_1'],
    requestIds: ['req_1'],
  });
  const reads = [{ request_id: 'req_1' }, { request_id: 'req_2' }, { request_id: 7 }, null];
  expect(columns({ data: { request_id: 'req_1', reads } }).requestIds).toEqual(['req_1', 'req_2']);
  expect(columns({ data: { request_id: 'of no form that a request may have' } }).requestIds).toEqual([]);
  expect(columns({ data: { callers: [{ id: 'key_1' }, { id: null }, 'odd', { id: 'user_1' }] } }).verifierIds).toEqual([
    'key_1',
    'user_1',
  ]);
  expect(columns({ subject: project })).toMatchObject({ keyId: null, projectId: project, outcome: null, ip: null });
  expect(columns({ type: 'api_key.denied', data: { code: 'revoked' } }).outcome).toBe('revoked');
});

it('the address column accepts any spelling of an address or a network, and nothing else', () => {
  const v4 = fc.ipV4().map((ip) => [ip, ip] as const);
  const mapped = fc
    .ipV4()
    .chain((ip) => fc.constantFrom(`::ffff:${ip}`, `::FFFF:${ip}`).map((text) => [text, ip] as const));
  // Excludes IPv4 within IPv6 in forms older than ::ffff:, which are ambiguous.
  const v6 = fc
    .ipV6()
    .filter((ip) => !ip.includes('.'))
    .map((ip) => [ip, ip] as const);
  fc.assert(
    fc.property(fc.oneof(v4, mapped, v6), ([text, ip]) => {
      const found = columns({ data: { ip: text } }).ip;
      expect(found && isWithin(found, ip) && isWithin(ip, found)).toBe(true);
      expect(found!.includes(':')).toBe(ip.includes(':') && !isWithin(ip, '0.0.0.0/0'));
    }),
  );
  for (const ip of ['192.0.2.0/24', '2001:db8::/48']) expect(columns({ data: { ip } }).ip).toBe(ip);
  for (const ip of [
    '',
    'x',
    '1.2.3',
    '1.2.3.4/33',
    '1.2.3/8',
    '010.1.1.1',
    'fe80::1%eth0',
    ':::',
    5,
    null,
    {},
    ['1.2.3.4'],
  ]) {
    expect(columns({ data: { ip } }).ip).toBeNull();
  }
});

it('the columns omit text that is too long to search for, and mark text that cannot be stored', () => {
  const [longest, longer] = ['x'.repeat(200), 'x'.repeat(201)];
  expect(columns({ subject: longest }).subject).toBe(longest);
  expect(columns({ subject: longer, data: { actor: { type: 'x', id: longer } } })).toMatchObject({
    subject: null,
    actorId: null,
  });
  expect(columns({ type: 'a\0', subject: '\0b', data: { path: '/\0' } })).toMatchObject({
    type: 'a\ufffd',
    subject: '\ufffdb',
    path: '/\ufffd',
  });
});
