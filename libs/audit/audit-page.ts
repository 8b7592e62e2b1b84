import { badCursor } from '#libs/platform/pages.js';
import type { Leaf } from './leaf.js';
import type { Order, Span } from './span.js';

/**
 * The position of a page: on one side of a boundary between two leaves. Leaves never move and are only appended, so
 * writes between two pages neither repeat nor hide a leaf.
 */
interface Position {
  readonly side: 'from' | 'below';
  readonly boundary: number;
}

export interface Page {
  readonly span: Span;
  /** The order in which the page's leaves are read, beginning at the boundary. */
  readonly order: Order;
  /** @param reached how far the search came, if it ended early */
  readonly present: (found: readonly Leaf[], reached: number | null) => PresentedPage;
}

interface PresentedPage {
  readonly leaves: readonly Leaf[];
  /** If the search ended early: the boundary between the leaves that it looked at and those that it did not. */
  readonly scannedTo: number | null;
  readonly nextCursor: string | null;
  readonly previousCursor: string | null;
}

/**
 * What to read for a page of a log of this size, from its minimum on, and how to build the page. The reader must fetch one leaf more than
 * the limit: it shows that there are leaves beyond the page. On the side from which a cursor came, there always are.
 * @throws DomainError for a cursor that we did not make.
 */
export function pageOfLog(
  query: { limit: number; order: Order; cursor?: string | undefined },
  size: number,
  minimum = 0,
): Page {
  const { limit, order, cursor } = query;
  const onwards = order === 'asc' ? 'from' : 'below';
  const position = cursor === undefined ? undefined : readCursor(cursor);
  const { side, boundary } = position ?? { side: onwards, boundary: order === 'asc' ? minimum : size };
  const span =
    side === 'from'
      ? { from: Math.max(boundary, minimum), below: size }
      : { from: minimum, below: Math.min(boundary, size) };
  return {
    span,
    order: side === 'from' ? 'asc' : 'desc',
    present: (found, reached) => {
      const leaves = found.slice(0, limit);
      const last = leaves.at(-1)?.index;
      const first = leaves[0]?.index;
      const more = reached === null ? null : { side, boundary: reached };
      const ahead = found.length > limit && last !== undefined ? after(side, last) : more;
      const back = position
        ? { side: opposite(side), boundary: first === undefined ? boundary : before(side, first) }
        : null;
      const [next, previous] = side === onwards ? [ahead, back] : [back, ahead];
      return {
        leaves: side === onwards ? leaves : leaves.toReversed(),
        scannedTo: reached,
        nextCursor: next && writeCursor(next),
        previousCursor: previous && writeCursor(previous),
      };
    },
  };
}

/** The position after a leaf, in reading direction. */
function after(side: Position['side'], index: number): Position {
  return { side, boundary: side === 'from' ? index + 1 : index };
}

/** The boundary just before a leaf, in reading direction. */
function before(side: Position['side'], index: number): number {
  return side === 'from' ? index : index + 1;
}

function opposite(side: Position['side']): Position['side'] {
  return side === 'from' ? 'below' : 'from';
}

function writeCursor({ side, boundary }: Position): string {
  return Buffer.from(`${side} ${boundary}`).toString('base64url');
}

function readCursor(cursor: string): Position {
  const [, side, boundary] = /^(from|below) (\d{1,15})$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? [];
  if (!side || !boundary) throw badCursor();
  return { side: side as Position['side'], boundary: Number(boundary) };
}
