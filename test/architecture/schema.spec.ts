import { expect, it } from '@jest/globals';
import { MikroORM } from '@mikro-orm/postgresql';
import { ormOptions } from '#libs/database/database.js';
import { entities } from '../../apps/api/entities.js';
import { createDatabase } from '../support/deployment.js';

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
