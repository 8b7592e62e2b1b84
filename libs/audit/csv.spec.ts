import { describe, expect, it } from '@jest/globals';
import { csvLine } from './csv.js';

describe('a line of CSV', () => {
  it('has its cells as they are, and those with a comma, a quote or a line break in quotes', () => {
    expect(csvLine(['a', '', 'b c', 'd,e', 'f"g', 'h\r\ni', 'ä'])).toBe('a,,b c,"d,e","f""g","h\r\ni",ä\r\n');
  });

  it.each(['=1+1', '+1', '-1', '@SUM(A1)', '\tx'])('has no cell that a spreadsheet would run: %j', (text) => {
    expect(csvLine([text, 'a=1'])).toBe(`'${text},a=1\r\n`);
  });

  it('has no such cell in quotes either', () => {
    expect(csvLine(['\r=1', '=cmd("x")'])).toBe(`"'\r=1","'=cmd(""x"")"\r\n`);
  });
});
