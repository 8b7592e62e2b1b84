import { expect, it } from '@jest/globals';
import type { AuditEvent } from '#libs/contract/audit.js';
import { auditColumns, namelessIds } from './audit-events.js';
import { table } from './table.js';

const KEY = 'key_01h455vb4pex5vsknk084sn02q';
const USER = 'user_01h455vb4pex5vsknk084sn02q';

function leaf(type: string, data: object): AuditEvent {
  const event = { type, subject: KEY, time: '2026-01-31T09:30:15.000Z', data };
  return { leaf_index: 4_711, event } as unknown as AuditEvent;
}

const created = leaf('api_key.created', {
  actor: { type: 'user', id: USER, name: 'Ada Lovelace' },
  subject: { id: KEY, name: 'Production server' },
  name: 'Production server',
  ip: '203.0.113.9',
});
const denied = leaf('api_key.denied', {
  actor: { type: 'api_key', id: KEY },
  code: 'insufficient_scope',
  scopes: ['audit:read'],
  method: 'GET',
  path: '/api/v1/projects',
  ip: '203.0.113.9',
  count: 1_200,
});
const events = [created, denied];
const NAMES = new Map([[KEY, 'Production server']]);
const linesAt = (width: number, rows = events) =>
  table(auditColumns(rows, NAMES), rows, { width, colours: false }).trimEnd().split('\n');

it.each([80, 120])('a terminal of %d columns shows who did what to which object, by names, and how often', (width) => {
  const [titles, ...rows] = linesAt(width);
  expect(titles).toMatch(/^TIME +ACTOR +TYPE +SUBJECT +COUNT +WHAT/);
  for (const row of rows) {
    expect(row.length).toBeLessThanOrEqual(width);
    expect(row).not.toMatch(/key_|user_/);
  }
  expect(rows[0]).toMatch(/ Ada Love\S* .* api_key\.created +Productio.* 1 /);
  expect(rows[1]).toMatch(/ Productio.* api_key\.denied +Productio.* 1200 /);
});

it('without a terminal nothing is left out, and no name is repeated', () => {
  const [titles, ...rows] = linesAt(Infinity);
  expect(titles).toMatch(/^TIME +ACTOR +TYPE +SUBJECT +COUNT +WHAT +IP +INDEX +SUBJECT ID$/);
  expect(rows[0]).toMatch(
    new RegExp(`Ada Lovelace +api_key.created +Production server +1 +- +203.0.113.9 +4711 +${KEY}$`),
  );
  expect(rows[1]).toMatch(
    /Production server +api_key\.denied +Production server +1200 +insufficient_scope \(audit:read\) GET \/api/,
  );
});

it('there is no column of counts if each event stands for one', () => {
  expect(linesAt(Infinity, [created])[0]).not.toContain('COUNT');
});

it('only what has no name in its event is looked up', () => {
  expect([...namelessIds([created])]).toEqual([]);
  expect([...namelessIds(events)]).toEqual([KEY]);
});
