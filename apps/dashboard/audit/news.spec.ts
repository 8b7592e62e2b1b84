import { describe, expect, it } from '@jest/globals';
import type { AuditEvent } from '#libs/contract/audit.js';
import { noNews, released, withReceived, type News } from './news.js';

const received = (...indexes: number[]) => indexes.map((leaf_index) => ({ leaf_index }) as AuditEvent);
const indexesOf = ({ shown, held }: News) => [shown, held].map((events) => events.map((event) => event.leaf_index));

describe('events from the tail', () => {
  it('are listed at once, newest first, unless the user has scrolled down', () => {
    const first = withReceived(noNews, received(4, 5), false);
    expect(indexesOf(first)).toEqual([[5, 4], []]);
    const held = withReceived(withReceived(first, received(6), true), received(8), true);
    expect(indexesOf(held)).toEqual([
      [5, 4],
      [8, 6],
    ]);
    expect(indexesOf(released(held))).toEqual([[8, 6, 5, 4], []]);
  });

  it('are listed once even if a resumed tail sends them again', () => {
    const held = withReceived(withReceived(noNews, received(4), false), received(6), true);
    expect(indexesOf(withReceived(held, received(4, 6, 7), true))).toEqual([[4], [7, 6]]);
  });

  it('are kept up to a limit, and a flag says that more are missing', () => {
    const many = withReceived(noNews, received(...Array.from({ length: 1500 }, (_, index) => index)), true);
    expect(many.held).toHaveLength(1000);
    expect(many.overflowed).toBe(true);
  });
});
