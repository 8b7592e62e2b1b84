import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { PostgreSqlDriver } from '@mikro-orm/postgresql';
import { MikroORM } from '@mikro-orm/core';
import pg from 'pg';
import { errorStack, errorText } from './error-text.js';

const PLANTED = 'zq7 of "the" quay';

describe('a PostgreSQL error about a value is logged without the value', () => {
  const pool = new pg.Pool({ connectionString: process.env['KEYLEDGER_TEST_ADMIN_URL']! });
  let orm: MikroORM;

  beforeAll(async () => {
    orm = await MikroORM.init({
      driver: PostgreSqlDriver,
      clientUrl: process.env['KEYLEDGER_TEST_ADMIN_URL']!,
      entities: [],
      discovery: { warnWhenNoEntities: false },
    });
  });

  afterAll(() => Promise.all([pool.end(), orm.close()]));

  it.each(['uuid', 'bigint', 'timestamptz', 'inet', 'json', 'boolean', 'interval', 'bytea', 'numeric', 'int4range'])(
    'that is not a valid %s',
    async (type) => {
      const statement = (place: string) => `SELECT ${place}::text::${type}`;
      const errors = [
        await pool.query(statement('$1'), [`\\${PLANTED}`]).catch((error: unknown) => error),
        await orm.em
          .fork()
          .getConnection()
          .execute(statement("'\\zq7'"))
          .catch((error: unknown) => error),
      ];
      for (const error of errors) {
        expect(error).toBeInstanceOf(Error);
        expect(errorText(error)).toMatch(/"…"|^[^"]*$/);
        expect(errorStack(error).replaceAll("'\\zq7'", '')).not.toContain('zq7');
        expect(errorStack(error)).toContain('error-text.spec');
      }
    },
  );
});

it('an error about invalid JSON is logged without the text', () => {
  for (const text of [PLANTED, `{"a": ${PLANTED}}`, `["${PLANTED}`, `{${PLANTED}}`]) {
    let error: unknown;
    try {
      JSON.parse(text);
    } catch (thrown) {
      error = thrown;
    }
    expect(errorText(error)).toMatch(/^SyntaxError: /);
    expect(errorText(error)).not.toContain('zq7');
    expect(errorStack(error)).not.toContain('zq7');
  }
});

it('all other errors are logged unchanged', () => {
  const error = new TypeError('"a" is not "b"');
  expect(errorText(error)).toBe('TypeError: "a" is not "b"');
  expect(errorStack(error)).toBe(error.stack);
  expect(errorText('text')).toBe('text');
});
