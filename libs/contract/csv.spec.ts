import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { csvLine } from './csv.js';

describe('a line of CSV', () => {
  it('has cells unchanged, and quotes cells with a comma, a quote or a line break', () => {
    expect(csvLine(['a', '', 'b c', 'd,e', 'f"g', 'h\r\ni', 'ä'])).toBe('a,,b c,"d,e","f""g","h\r\ni",ä\r\n');
  });

  const signs = ['=', '+', '-', '@', '＝', '＋', '－', '＠', '﹢', '﹣', '﹦', '﹫', '−'];

  it.each(signs)('has no cell that a spreadsheet would execute: %s', (sign) => {
    expect(csvLine([`${sign}1`, `a${sign}1`])).toBe(`'${sign}1,a${sign}1\r\n`);
  });

  it('marks formula signs after characters that a spreadsheet skips, and after a line break', () => {
    const skipped = fc.constantFrom(
      ...' ,\t,\r,\n,\v,\f,\0,\u00a0,\u200b,\u2028,\u3000,\ufeff,\u034f,\u2800,\u3164,\ufe0f'.split(','),
    );
    const cells = fc.tuple(fc.array(skipped, { maxLength: 5 }), fc.constantFrom(...signs), fc.string());
    fc.assert(
      fc.property(cells, ([before, sign, after]) => {
        const line = csvLine([`${before.join('')}${sign}${after}`]);
        expect(line.replace(/^"/, '').startsWith("'")).toBe(true);
      }),
    );
    for (const start of ['\t', '\r', '\n']) expect(csvLine([`${start}x`])).toBe(`"'${start}x"\r\n`);
  });

  it('has the same number of cells if semicolons or tabs separate them', () => {
    expect(csvLine(['a;=1', 'b\t=1'])).toBe('"a;=1","b\t=1"\r\n');
  });

  it('has no such cell within quotes', () => {
    expect(csvLine(['\r=1', '=cmd("x")'])).toBe(`"'\r=1","'=cmd(""x"")"\r\n`);
  });
});
