import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { MikroORM } from '@mikro-orm/postgresql';
import pg from 'pg';
import { ormOptions } from '#libs/database/orm.js';
import { entities } from '../../apps/api/entities.js';
import { createDatabase } from '../support/deployment.js';
import { schemaText } from '../support/schema-text.js';

const SCHEMA = join(import.meta.dirname, '../../libs/database/schema.sql');

it('every stored property of every entity is a column of the migrated database, of the same name and nullability', async () => {
  const database = await createDatabase();
  const orm = await MikroORM.init(ormOptions(database.adminUrl, 'keyledger_api', entities));
  try {
    const rows = await orm.em.fork().execute<{ place: string }[]>(
      `SELECT table_name || '.' || column_name || CASE is_nullable WHEN 'YES' THEN ' null' ELSE '' END AS place
         FROM information_schema.columns WHERE table_schema = 'public'`,
    );
    const columns = new Set(rows.map((row) => row.place));
    const mapped = [...orm.getMetadata().getAll().values()].flatMap((entity) =>
      entity.props
        .filter(({ formula }) => !formula)
        .map((property) => `${entity.tableName}.${property.fieldNames[0]}${property.nullable ? ' null' : ''}`),
    );
    expect(mapped.length).toBeGreaterThan(40);
    expect(mapped.filter((place) => !columns.has(place))).toEqual([]);
  } finally {
    await orm.close();
    await database.drop();
  }
});

it('libs/database/schema.sql is the schema that the migrations create', async () => {
  const database = await createDatabase();
  const client = new pg.Client({ connectionString: database.adminUrl });
  await client.connect();
  try {
    const text = await schemaText(client);
    if (process.env['UPDATE_SCHEMA']) writeFileSync(SCHEMA, text);
    expect(readFileSync(SCHEMA, 'utf8')).toBe(text);
  } finally {
    await client.end();
    await database.drop();
  }
});
