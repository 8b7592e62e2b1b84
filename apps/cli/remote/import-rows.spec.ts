import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { generateToken } from '#libs/api-key-format/token.js';
import { csvLine } from '#libs/contract/csv.js';
import { importRows, type ImportRow } from './import-rows.js';

const TOKEN = 'acme_4fQ9aZ7xkR2mT8vWcY6bN1pL';
const HASH = createHash('sha256').update(TOKEN).digest('hex');

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyledger-import-'));
});

afterAll(() => rm(folder, { recursive: true }));

async function rowsIn(text: string, format: 'csv' | 'jsonl', defaults: Parameters<typeof importRows>[2] = {}) {
  const file = join(folder, 'keys');
  await writeFile(file, text);
  const rows: ImportRow[] = [];
  for await (const row of importRows(file, format, defaults)) rows.push(row);
  return rows;
}

const failureOf = (text: string, format: 'csv' | 'jsonl') =>
  rowsIn(text, format).then(
    () => undefined,
    (error: Error) => error.message,
  );

describe('the rows of a file to import', () => {
  it('are read from CSV with the types of the API, and keep their lines', async () => {
    const text =
      '\uFEFFhash,name,scopes,metadata,expires_in_days,external_id\r\n' +
      `${HASH},"One, ""two""\nlines",triggers:read events:read,"{""plan"":""pro""}",30,\r\n` +
      `\r\n${HASH},Three,,,,7\n`;
    expect(await rowsIn(text, 'csv', { scopes: ['triggers:read'] })).toEqual([
      {
        place: 'line 2',
        names: {},
        row: {
          hash: HASH,
          name: 'One, "two"\nlines',
          scopes: ['triggers:read', 'events:read'],
          metadata: { plan: 'pro' },
          expires_in_days: 30,
        },
      },
      {
        place: 'line 5',
        names: { scopes: '--scope' },
        row: { hash: HASH, name: 'Three', scopes: ['triggers:read'], external_id: '7' },
      },
    ]);
  });

  it('are read from JSON Lines', async () => {
    expect(await rowsIn(`{"hash":"${HASH}","name":"One"}\n\n{"name":"Two"}\n`, 'jsonl')).toEqual([
      { place: 'line 1', names: {}, row: { hash: HASH, name: 'One' } },
      { place: 'line 3', names: {}, row: { name: 'Two' } },
    ]);
  });

  it('have the hash of a token instead of the token', async () => {
    const row = { place: 'line 1', names: { hash: 'token' }, row: { hash: HASH, name: 'One' } };
    expect(await rowsIn(JSON.stringify({ token: TOKEN, name: 'One' }), 'jsonl')).toEqual([row]);
    expect(await rowsIn(`token,name\n${TOKEN},One`, 'csv')).toEqual([{ ...row, place: 'line 2' }]);
    for (const token of ['short', `${TOKEN} x`, generateToken('sk_live')]) {
      expect(await failureOf(JSON.stringify({ token, name: 'One' }), 'jsonl')).toMatch(
        /^Line 1 has a token that cannot be/,
      );
    }
  });

  it.each([
    ['{"name":', 'jsonl', 'Line 1 is not a JSON object.'],
    ['{}\n[1]', 'jsonl', 'Line 2 is not a JSON object.'],
    ['a,b\n1', 'csv', 'Line 2 has 1 cells, and the first line has 2.'],
    ['a\n"1"2', 'csv', 'Line 2 is not CSV: a quote is missing, or has to be doubled.'],
    ['a\n"1', 'csv', 'Line 2 is not CSV: a quote is missing, or has to be doubled.'],
    ['metadata,name\n{,x', 'csv', 'Line 2 has no valid metadata.'],
    ['expires_in_days,name\nsoon,x', 'csv', 'Line 2 has no valid expires_in_days.'],
    ['{"token":"acme_4fQ9aZ7xkR2mT8","hash":"x"}', 'jsonl', 'Line 1 has a token and a hash: leave one of them out.'],
  ] as const)('are refused by their line: %j', async (text, format, message) => {
    expect(await failureOf(text, format)).toBe(message);
  });

  it('are refused if they would fill the memory', async () => {
    const long = `"${'x'.repeat(600_000)}`;
    expect(await failureOf(`a\n${long}`, 'csv')).toBe('Line 2 is longer than 512 KiB.');
    expect(await failureOf(`{}\n${long}`, 'jsonl')).toBe('Line 2 is longer than 512 KiB.');
  });

  it('are what was written, whatever the cells contain', async () => {
    // A formula gets an apostrophe when it is written.
    const cell = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => /^[a-z]/i.test(text));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(cell, cell), { minLength: 1 }), async (rows) => {
        const text = [['name', 'description'], ...rows].map(csvLine).join('');
        const read = (await rowsIn(text, 'csv')).map(({ row }) => [row.name, row.description]);
        expect(read).toEqual(rows);
      }),
    );
  });
});
