import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { generateToken } from '#libs/api-key-format/token.js';
import { csvLine } from '#libs/contract/csv.js';
import { importRows } from './import-rows.js';

const TOKEN = 'acme_4fQ9aZ7xkR2mT8vWcY6bN1pL';
const HASH = createHash('sha256').update(TOKEN).digest('hex');
const failureOf = (text: string, format: 'csv' | 'jsonl') => {
  try {
    importRows(text, format, {});
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
};

describe('the rows of a file to import', () => {
  it('are read from CSV with the types of the API, and keep their lines', () => {
    const text =
      '\uFEFFhash,name,scopes,metadata,expires_in_days,external_id\r\n' +
      `${HASH},"One, ""two""\nlines",triggers:read events:read,"{""plan"":""pro""}",30,\r\n` +
      `\r\n${HASH},Three,,,,7\n`;
    expect(importRows(text, 'csv', { scopes: ['triggers:read'] })).toEqual([
      {
        line: 2,
        row: {
          hash: HASH,
          name: 'One, "two"\nlines',
          scopes: ['triggers:read', 'events:read'],
          metadata: { plan: 'pro' },
          expires_in_days: 30,
        },
      },
      { line: 5, row: { hash: HASH, name: 'Three', scopes: ['triggers:read'], external_id: '7' } },
    ]);
  });

  it('are read from JSON Lines', () => {
    expect(importRows(`{"hash":"${HASH}","name":"One"}\n\n{"name":"Two"}\n`, 'jsonl', {})).toEqual([
      { line: 1, row: { hash: HASH, name: 'One' } },
      { line: 3, row: { name: 'Two' } },
    ]);
  });

  it('have the hash of a token instead of the token', () => {
    const row = { line: 1, row: { hash: HASH, name: 'One' } };
    expect(importRows(JSON.stringify({ token: TOKEN, name: 'One' }), 'jsonl', {})).toEqual([row]);
    expect(importRows(`token,name\n${TOKEN},One`, 'csv', {})).toEqual([{ ...row, line: 2 }]);
    for (const token of ['short', `${TOKEN} x`, generateToken('sk_live')]) {
      expect(failureOf(JSON.stringify({ token, name: 'One' }), 'jsonl')).toMatch(/^Line 1 has a token that cannot be/);
    }
  });

  it.each([
    ['{"name":', 'jsonl', 'Line 1 is not a JSON object.'],
    ['{}\n[1]', 'jsonl', 'Line 2 is not a JSON object.'],
    ['a,b\n1', 'csv', 'Line 2 has 1 cells, and the first line has 2.'],
    ['a\n"1"2', 'csv', 'Line 2 is not CSV: a quote is missing, or has to be doubled.'],
    ['metadata,name\n{,x', 'csv', 'Line 2 has no valid metadata.'],
    ['expires_in_days,name\nsoon,x', 'csv', 'Line 2 has no valid expires_in_days.'],
    ['{"token":"acme_4fQ9aZ7xkR2mT8","hash":"x"}', 'jsonl', 'Line 1 has a token and a hash: leave one of them out.'],
  ] as const)('are refused by their line: %j', (text, format, message) => {
    expect(failureOf(text, format)).toBe(message);
  });

  it('are what was written, whatever the cells contain', () => {
    // A formula gets an apostrophe when it is written.
    const cell = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => /^[a-z]/i.test(text));
    fc.assert(
      fc.property(fc.array(fc.tuple(cell, cell), { minLength: 1 }), (rows) => {
        const text = [['name', 'description'], ...rows].map(csvLine).join('');
        const read = importRows(text, 'csv', {}).map(({ row }) => [row.name, row.description]);
        expect(read).toEqual(rows);
      }),
    );
  });
});
