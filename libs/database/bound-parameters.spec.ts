import { describe, expect, it } from '@jest/globals';
import { PostgreSqlPlatform, raw } from '@mikro-orm/postgresql';
import fc from 'fast-check';
import { bindParameters } from './bound-parameters.js';

const platform = new PostgreSqlPlatform();
const bind = (sql: string, params: readonly unknown[]) =>
  bindParameters(sql, params, (name) => platform.quoteIdentifier(name));

describe('a statement with bound parameters', () => {
  it('equals the statement of MikroORM, with separate values', () => {
    const value = fc.oneof(
      fc.string().filter((text) => !text.includes('$')),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.array(fc.integer(), { minLength: 1, maxLength: 3 }),
      fc.record({ name: fc.string().filter((text) => !text.includes('$')) }),
    );
    const statement = fc.array(fc.record({ words: fc.constantFrom('a = ', ' AND b IN ', ' x '), value }), {
      minLength: 1,
      maxLength: 5,
    });
    fc.assert(
      fc.property(statement, (parts) => {
        const sql = parts.map(({ words }) => `${words}?`).join('');
        const params = parts.map((part) => part.value);
        const { text, values } = bind(sql, params);
        const inlined = text.replaceAll(/\$(\d+)/g, (_, place) => platform.quoteValue(values[Number(place) - 1]));
        expect(inlined).toBe(platform.formatQuery(sql, params));
      }),
    );
  });

  it('has no values in its text', () => {
    expect(bind('SELECT ?? FROM t WHERE a = ? AND b IN (?) AND c = ?', ['a', 'secret', ['x', 'y'], { d: 1 }])).toEqual({
      text: 'SELECT "a" FROM t WHERE a = $1 AND b IN ($2, $3) AND c = $4',
      values: ['secret', 'x', 'y', '{"d":1}'],
    });
  });

  it('keeps raw fragments and question marks that are operators', () => {
    expect(bind(String.raw`SELECT data \? ? WHERE at < ?`, ['name', raw('now() - ?::interval', ['1 hour'])])).toEqual({
      text: 'SELECT data ? $1 WHERE at < now() - $2::interval',
      values: ['name', '1 hour'],
    });
  });

  it('is rejected if a value is missing', () => {
    expect(() => bind('SELECT ?, ?', ['one'])).toThrow('lacks a value');
  });
});
