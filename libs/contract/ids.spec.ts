import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { fromUuid, newId, toUuid } from './ids.js';

it('a new id is the TypeID of its UUID, and contains its time', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 48 - 1 }), (at) => {
      const id = newId('req', new Date(at));
      expect(id).toBe(fromUuid('req', toUuid(id)));
      expect(Number.parseInt(toUuid(id).replaceAll('-', '').slice(0, 12), 16)).toBe(at);
    }),
  );
});
