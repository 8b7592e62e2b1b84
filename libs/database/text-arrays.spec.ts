import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import pg from 'pg';
import { survivingPool } from './database.js';
import { parseTextArray, TEXT_ARRAY } from './text-arrays.js';

const special = fc.string({ unit: fc.constantFrom('a', '.', ',', '{', '}', '"', '\\', ' ', '\n', 'ü', '[', '=') });
const element = fc.oneof(fc.string(), special, fc.constantFrom('', 'NULL', 'null', 'a.null', '*.example.com'));

describe('an array of texts', () => {
  it('arrives as it was sent, whatever its elements are', async () => {
    const pool = survivingPool({ connectionString: process.env['KEYLEDGER_TEST_ADMIN_URL'], max: 1 });
    try {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.option(element.filter((text) => text.isWellFormed() && !text.includes('\0')))),
          async (sent) => {
            const { rows } = await pool.query<{ got: unknown }>('SELECT $1::text[] AS got', [sent]);
            expect(rows).toEqual([{ got: sent }]);
          },
        ),
      );
      const { rows } = await pool.query(`SELECT '{{a,b},{c,d}}'::text[] AS nested, '[2:3]={a,b}'::text[] AS shifted`);
      expect(rows).toEqual([
        {
          nested: [
            ['a', 'b'],
            ['c', 'd'],
          ],
          shifted: ['a', 'b'],
        },
      ]);
    } finally {
      await pool.end();
    }
  });

  it('is not read character by character on any connection', () => {
    expect(pg.types.getTypeParser(TEXT_ARRAY)).toBe(parseTextArray);
  });
});
