import { afterAll, beforeAll, expect, it } from '@jest/globals';
import fc from 'fast-check';
import pg from 'pg';
import { BinaryRows } from '#libs/database/binary-rows.js';
import { leafHashOf } from '#libs/audit/audit-writer.js';
import { leafHash } from '#libs/tlog/leaf.js';
import { anyCharacter } from '../support/any-text.js';
import { createDatabase, type TestDatabase } from '../support/deployment.js';

let database: TestDatabase;
let client: pg.Client;

beforeAll(async () => {
  database = await createDatabase();
  client = new pg.Client({ connectionString: database.adminUrl, options: '-c timezone=UTC' });
  await client.connect();
  await client.query(`CREATE TEMP TABLE target (place int8, a uuid, b int8, later int8, c timestamptz, d bytea, e text, f inet);
                      CREATE TEMP TABLE once (id uuid PRIMARY KEY)`);
});

afterAll(async () => {
  await client.end();
  await database.drop();
});

const row = fc.record({
  a: fc.option(
    fc.oneof(
      fc.uuid(),
      fc.uuid().map((id) => id.toUpperCase()),
    ),
  ),
  b: fc.integer({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER }),
  c: fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true }),
  d: fc.uint8Array({ maxLength: 300 }),
  // Every text that PostgreSQL can store.
  e: fc.option(fc.string({ unit: anyCharacter }).map((text) => text.toWellFormed().replaceAll('\0', ''))),
  f: fc.option(
    fc.oneof(
      fc.ipV4(),
      fc.ipV6().filter((address) => !address.includes('.')),
    ),
  ),
});

it('values copied as binary rows are read back unchanged', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 50 }), async (wanted) => {
      const rows = new BinaryRows(8);
      const later = wanted.map(({ a, b, c, d, e, f }, place) => {
        const filled = rows.row().bigint(place).uuid(a).bigint(b).laterBigint();
        rows.timestamp(c.getTime()).bytes(d).text(e).inet(f);
        return filled;
      });
      for (const [place, filled] of later.entries()) rows.fillBigint(filled, wanted[place]!.b);
      await client.query('TRUNCATE target');
      await rows.copy(client, 'target');
      const { rows: found } = await client.query(
        `SELECT target.a, target.b, later, c, d, e, f IS NOT DISTINCT FROM asked.address::inet AS "isSame"
         FROM target JOIN unnest($1::text[]) WITH ORDINALITY AS asked (address, number) ON place = number - 1
         ORDER BY place`,
        [wanted.map(({ f }) => f)],
      );
      expect(found).toEqual(
        wanted.map(({ a, b, c, d, e }) => ({
          a: a && a.toLowerCase(),
          b: String(b),
          later: String(b),
          c,
          d: Buffer.from(d),
          e,
          isSame: true,
        })),
      );
    }),
    { numRuns: 100 },
  );
});

it('many and large rows fit, whatever the initial buffer size', async () => {
  const rows = new BinaryRows(1);
  const large = Buffer.alloc(400_000, 'x');
  for (let index = 0; index < 10; index++) rows.row().bytes(large);
  await client.query('TRUNCATE target');
  await rows.copy(client, 'target (d)');
  const { rows: found } = await client.query('SELECT count(*)::int AS n, min(length(d)) AS least FROM target');
  expect(found).toEqual([{ n: 10, least: large.length }]);
});

it('rows that the database rejects leave nothing behind and keep the connection usable', async () => {
  const id = '01a1ff1d-fc6d-76fa-a011-979c32b6656d';
  const twice = new BinaryRows(1).row().uuid(id).row().uuid(id);
  await expect(twice.copy(client, 'once')).rejects.toMatchObject({ code: '23505' });
  await new BinaryRows(1).row().uuid(id).copy(client, 'once');
  expect((await client.query('SELECT id FROM once')).rows).toEqual([{ id }]);
});

it('the hash that the worker writes is the leaf hash of the entry', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5_000 }), (entry) => {
      expect(leafHashOf(entry)).toBe(Buffer.from(leafHash(entry)).toString('hex'));
    }),
  );
});
