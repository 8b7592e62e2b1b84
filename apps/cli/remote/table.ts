import { styleText } from 'node:util';
import { cut, printable, widthOf } from './text.js';

export type Colour = 'green' | 'yellow' | 'red';

export interface Column<Row> {
  readonly title: string;
  value(row: Row): string;
  colour?(row: Row): Colour | undefined;
  readonly align?: 'right';
  /** On a narrow terminal the column may shrink to this width. */
  readonly shrinksTo?: number;
  /** On a narrow terminal the column may be left out; the highest number goes first. */
  readonly expendable?: number;
}

export interface Layout {
  /** The width of the terminal; `Infinity` without one. */
  readonly width: number;
  readonly colours: boolean;
}

interface Sized<Row> {
  readonly column: Column<Row>;
  readonly width: number;
}

const GAP = '  ';

/** Formats rows below titles, in columns as wide as their content. Without a terminal nothing is cut or left out. */
export function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[], layout: Layout): string {
  const fitting = fit(
    columns.map((column) => ({ column, width: naturalWidth(column, rows) })),
    layout.width,
  );
  const titles = fitting.map(({ column, width }, place) => {
    const cell = pad(column.title, width, column.align, isLast(fitting, place));
    return layout.colours ? styleText('bold', cell, { validateStream: false }) : cell;
  });
  const lines = rows.map((row) =>
    fitting.map(({ column, width }, place) => {
      const cell = pad(cut(textOf(column, row), width), width, column.align, isLast(fitting, place));
      const colour = layout.colours ? column.colour?.(row) : undefined;
      return colour ? styleText(colour, cell, { validateStream: false }) : cell;
    }),
  );
  return [titles, ...lines].map((cells) => `${cells.join(GAP)}\n`).join('');
}

export type Field = readonly [name: string, value: string];

/** Formats one object, with a line for each field. */
export function card(fields: readonly Field[]): string {
  const width = Math.max(...fields.map(([name]) => name.length));
  return fields.map(([name, value]) => `${name.padEnd(width)}${GAP}${printable(value)}\n`).join('');
}

function fit<Row>(columns: readonly Sized<Row>[], width: number): readonly Sized<Row>[] {
  const excess = columns.reduce((sum, sized) => sum + sized.width, GAP.length * (columns.length - 1)) - width;
  if (excess <= 0) return columns;
  const slack = columns.reduce((sum, sized) => sum + slackOf(sized), 0);
  if (slack >= excess) return shrink(columns, excess);
  const expendable = columns.filter(({ column }) => column.expendable !== undefined);
  if (expendable.length === 0) return shrink(columns, slack);
  const first = expendable.reduce((one, other) => (other.column.expendable! > one.column.expendable! ? other : one));
  return fit(
    columns.filter((sized) => sized !== first),
    width,
  );
}

/** Shrinks the widest column first, so that short ones stay whole. */
function shrink<Row>(columns: readonly Sized<Row>[], excess: number): readonly Sized<Row>[] {
  const shrunk = columns.map((sized) => ({ ...sized }));
  for (let left = excess; left > 0; left--) {
    const giving = shrunk.filter((sized) => slackOf(sized) > 0);
    giving.reduce((one, other) => (other.width > one.width ? other : one)).width -= 1;
  }
  return shrunk;
}

function slackOf<Row>({ column, width }: Sized<Row>): number {
  return Math.max(0, width - (column.shrinksTo ?? width));
}

function naturalWidth<Row>(column: Column<Row>, rows: readonly Row[]): number {
  return rows.reduce((width, row) => Math.max(width, widthOf(textOf(column, row))), column.title.length);
}

function textOf<Row>(column: Column<Row>, row: Row): string {
  return printable(column.value(row)) || '-';
}

/** The last column has no trailing spaces. */
function pad(text: string, width: number, align: 'right' | undefined, last: boolean): string {
  const spaces = ' '.repeat(Math.max(0, width - widthOf(text)));
  if (align === 'right') return spaces + text;
  return last ? text : text + spaces;
}

function isLast<Row>(columns: readonly Sized<Row>[], place: number): boolean {
  return place === columns.length - 1;
}
