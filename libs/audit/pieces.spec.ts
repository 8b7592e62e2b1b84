import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { inPieces } from './pieces.js';

async function piecesOf(lengths: readonly number[]): Promise<(readonly number[])[]> {
  const pieces: (readonly number[])[] = [];
  for await (const piece of inPieces(lengths, (length) => length)) pieces.push(piece);
  return pieces;
}

const lengths = fc.array(fc.nat(600_000), { maxLength: 30 });

it('every item is in one piece, in order, and no piece has more than one item beyond its size', async () => {
  await fc.assert(
    fc.asyncProperty(lengths, async (items) => {
      const pieces = await piecesOf(items);
      expect(pieces.flat()).toEqual(items);
      for (const piece of pieces) {
        expect(piece.length).toBeGreaterThan(0);
        expect(piece.slice(0, -1).reduce((sum, length) => sum + length, 0)).toBeLessThan(500_000);
      }
    }),
  );
});

it('other work runs between two pieces', async () => {
  let turns = 0;
  const count = () => {
    turns += 1;
    timer = setImmediate(count);
  };
  let timer = setImmediate(count);
  const pieces = await piecesOf([500_000, 500_000, 500_000]);
  clearImmediate(timer);
  expect(pieces).toHaveLength(3);
  expect(turns).toBeGreaterThanOrEqual(2);
});
