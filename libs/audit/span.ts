/** A range of leaf indexes or of bundle indexes, without `below` itself. */
export interface Span {
  readonly from: number;
  readonly below: number;
}

/** The order in which a range is read. */
export type Order = 'asc' | 'desc';

/** The boundary at which the reading of a range ends. */
export function endOf({ from, below }: Span, order: Order): number {
  return order === 'asc' ? below : from;
}

/** The boundary at which the reading of a range begins. */
export function startOf({ from, below }: Span, order: Order): number {
  return order === 'asc' ? from : below;
}

/** The boundary after one item, in the order of reading. */
export function boundaryAfter(index: number, order: Order): number {
  return order === 'asc' ? index + 1 : index;
}

/** The boundary before one item, in the order of reading. */
export function boundaryBefore(index: number, order: Order): number {
  return order === 'asc' ? index : index + 1;
}

/** The part of a range that is read before a boundary. */
export function partBefore({ from, below }: Span, order: Order, boundary: number): Span {
  return order === 'asc' ? { from, below: Math.min(boundary, below) } : { from: Math.max(boundary, from), below };
}

/** The part of a range that is read first, of a width. */
export function firstPart(span: Span, order: Order, width: number): Span {
  return partBefore(span, order, order === 'asc' ? span.from + width : span.below - width);
}

/** The part of a range that is read after a boundary within it. */
export function partAfter({ from, below }: Span, order: Order, boundary: number): Span {
  return order === 'asc' ? { from: boundary, below } : { from, below: boundary };
}

export function isEmptySpan({ from, below }: Span): boolean {
  return from >= below;
}

export function contains({ from, below }: Span, index: number): boolean {
  return index >= from && index < below;
}
