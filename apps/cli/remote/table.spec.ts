import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { card, table, type Column } from './table.js';
import { cut, localTime, printable, widthOf } from './text.js';

interface Row {
  readonly id: string;
  readonly name: string;
  readonly uses: number;
}

const columns: readonly Column<Row>[] = [
  { title: 'ID', value: ({ id }) => id },
  { title: 'NAME', value: ({ name }) => name, shrinksTo: 6 },
  { title: 'USES', value: ({ uses }) => String(uses), align: 'right', expendable: 1, colour: () => 'red' },
];
const rows: readonly Row[] = [
  { id: 'key_1', name: 'short', uses: 7 },
  { id: 'key_22', name: 'rather a long name', uses: 1234 },
];

describe('a table', () => {
  it('is as wide as its content, without trailing spaces', () => {
    expect(table(columns.toReversed(), rows, { width: Infinity, colours: false })).toBe(
      'USES  NAME                ID\n   7  short               key_1\n1234  rather a long name  key_22\n',
    );
  });

  it('shrinks columns that may shrink, then omits columns that may be omitted', () => {
    const at = (width: number) => table(columns, rows, { width, colours: false }).split('\n')[2];
    expect(at(32)).toBe('key_22  rather a long name  1234');
    expect(at(25)).toBe('key_22  rather a l…  1234');
    expect(at(19)).toBe('key_22  rather a l…');
    expect(at(1)).toBe('key_22  rathe…');
  });

  it('fits the width while a column can shrink or be omitted, and never loses a row', () => {
    const row = fc.record({ id: fc.string({ maxLength: 8 }), name: fc.string({ unit: 'grapheme' }), uses: fc.nat() });
    fc.assert(
      fc.property(fc.array(row), fc.integer({ min: 16, max: 60 }), (rows, width) => {
        const lines = table(columns, rows, { width, colours: false }).trimEnd().split('\n');
        expect(lines).toHaveLength(rows.length + 1);
        for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(width);
      }),
    );
  });

  it('has colours if the terminal has them', () => {
    expect(table(columns, rows, { width: 80, colours: true })).toContain('\u001b[31m   7\u001b[39m');
  });
});

it('a card has a line for each field', () => {
  expect(
    card([
      ['ID', 'key_1'],
      ['Name', 'a\nb'],
    ]),
  ).toBe('ID    key_1\nName  a\ufffdb\n');
});

describe('a text', () => {
  it('written by others cannot control the terminal', () => {
    expect(printable('a\u001b]0;title\u0007\tb\r\nc\u009b\u2028\u202ed')).toBe(
      'a\ufffd]0;title\ufffd\ufffdb\ufffd\ufffdc\ufffd\ufffd\ufffdd',
    );
    expect(printable('漢字 naïve 👩‍👩‍👧')).toBe('漢字 naïve 👩‍👩‍👧');
  });

  it.each([
    ['plain', 5],
    ['漢字', 4],
    ['nai\u0308ve', 5],
    ['👩‍👩‍👧🇫🇷', 4],
    ['\u200b', 0],
  ])('%j has the expected width', (text, width) => {
    expect(widthOf(text)).toBe(width);
  });

  it('is cut between characters', () => {
    expect(['abcd', 'abc', '漢字漢'].map((text) => cut(text, 3))).toEqual(['ab…', 'abc', '漢…']);
  });
});

it('a time is shown in the local time zone', () => {
  const noon = new Date(2026, 0, 2, 12, 3, 4).toISOString();
  expect(localTime(noon)).toBe('2026-01-02 12:03');
  expect(localTime(noon, 'second')).toBe('2026-01-02 12:03:04');
  expect(localTime(null)).toBe('-');
});
