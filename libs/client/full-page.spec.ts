import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { fullPage } from './full-page.js';

/** A list whose pages end early after every few items, as a search that pauses. */
function pausingList(items: readonly number[], pauseAfter: number) {
  return async (limit: number, cursor = '0') => {
    const from = Number(cursor);
    const below = Math.min(from + Math.min(limit, pauseAfter), items.length);
    const isPaused = below - from < limit && below < items.length;
    return {
      data: items.slice(from, below),
      next_cursor: below < items.length ? String(below) : null,
      scanned_to: isPaused ? below : null,
    };
  };
}

describe('a full page', () => {
  it('has as many events as asked for, or all, however often the search pauses, and its cursor goes on after them', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(30), fc.integer({ min: 1, max: 20 }), fc.nat(7), async (count, limit, pauseAfter) => {
        const items = Array.from({ length: count }, (_, n) => n);
        const read = pausingList(items, Math.max(1, pauseAfter));
        const { data, next_cursor: next } = await fullPage(limit, read);
        expect(data).toEqual(items.slice(0, limit));
        expect(next).toBe(limit < count ? String(limit) : null);
      }),
    );
  });

  it('reports each pause', async () => {
    const pauses: number[] = [];
    await fullPage(10, pausingList([1, 2, 3, 4, 5, 6, 7], 3), (scannedTo) => pauses.push(scannedTo));
    expect(pauses).toEqual([3, 6]);
  });
});
