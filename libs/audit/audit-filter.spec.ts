import { expect, it } from '@jest/globals';
import { isIndexed, type StoredFilter } from './audit-filter.js';

const id = 'proj_01h455vb4pex5vsknk084sn02q';

it.each<[string, StoredFilter, boolean]>([
  ['a key', { keyId: 'key' }, true],
  ['a key in a range of times', { keyId: 'key', from: '2026-01-01T00:00:00Z' }, true],
  ['a type', { types: ['member.added'] }, true],
  ['an actor', { actorId: 'user' }, true],
  ['a project', { projectIds: [id] }, true],
  ['a prefix of types', { types: ['member.*'] }, false],
  ['two types', { types: ['member.added', 'member.removed'] }, false],
  ['a type and an actor', { types: ['member.added'], actorId: 'user' }, false],
  ['a type at an address', { types: ['api_key.created'], ip: '192.0.2.1' }, false],
  ['a type from a time on', { types: ['api_key.created'], from: '2026-01-01T00:00:00Z' }, false],
  ['an actor, but not a path', { actorId: 'user', not: { path: '/v1' } }, false],
  ['an address', { ip: '192.0.2.1' }, false],
])('an index alone serves a search of management events for %s, or it reads windows of them', (_, filter, expected) => {
  expect(isIndexed(filter)).toBe(expected);
});
