import { runMigrations as migrateQueue } from 'bullmq';
import pg from 'pg';
import { QUEUE_SCHEMA, sessionOptions } from '#libs/database/database.js';
import { appliedMigrations, FOREIGN_SCHEMA, schemaVersion } from '#libs/database/schema-version.js';
import { ConfigError } from '#libs/platform/config.js';

/** An arbitrary number; no other advisory lock of this database may use it. */
const MIGRATION_LOCK = 7_226_951;

/**
 * Brings a database to the current schema: roles, our tables, and the tables of BullMQ. It may run again, and several
 * times at once. The user of `databaseUrl` needs CREATEROLE, owns the database, and becomes a member of the roles.
 * @throws ConfigError if another version created the schema
 */
export async function migrate(options: { databaseUrl: string; log?: (line: string) => void }): Promise<void> {
  const log = options.log ?? (() => undefined);
  const client = new pg.Client({ connectionString: options.databaseUrl, application_name: 'keyledger migrate' });
  await client.connect();
  try {
    await client.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
    const version = schemaVersion(await appliedMigrations(client));
    if (version === 'foreign') throw new ConfigError(FOREIGN_SCHEMA);
    await client.query(ROLES);
    if (version !== 'current') {
      const { migrateTables } = await tableMigrations();
      for (const name of await migrateTables(options.databaseUrl)) log(`Migrated the database: ${name}`);
    }
    await client.query(LET_QUEUE_CREATE);
    try {
      await migrateQueueTables(options.databaseUrl);
    } finally {
      await client.query(STOP_QUEUE_CREATING);
    }
  } finally {
    // Ends the session and releases the lock.
    await client.end();
  }
}

/** Loads the ORM, which takes longer than all else that a start does with a current schema. */
export const tableMigrations = () => import('./table-migrations.js');

/** BullMQ creates sequences at run time, so the role that uses its objects owns all of them. */
async function migrateQueueTables(databaseUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl, options: sessionOptions('keyledger_queue') });
  await client.connect();
  try {
    await migrateQueue(client, QUEUE_SCHEMA);
  } finally {
    await client.end();
  }
}

/** Roles belong to the whole server, so a migration of another database may have created them already. */
const ROLES = /* sql */ `
  DO $$
  DECLARE name text;
  BEGIN
    FOREACH name IN ARRAY ARRAY['keyledger_owner', 'keyledger_queue', 'keyledger_api', 'keyledger_worker'] LOOP
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN', name);
      EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
      END;
      IF NOT pg_has_role(current_user, name, 'MEMBER') THEN
        EXECUTE format('GRANT %I TO %I', name, current_user);
      END IF;
    END LOOP;
    GRANT keyledger_queue TO keyledger_api, keyledger_worker;
    EXECUTE format('GRANT CREATE ON DATABASE %I TO keyledger_owner', current_database());
    GRANT CREATE, USAGE ON SCHEMA public TO keyledger_owner;
  END $$;
`;

/**
 * BullMQ's migration creates its schema and requires the right to do so even if the schema exists. The right is revoked
 * again: every serving process may take on this role, and a schema that it creates could precede ours in a search path.
 */
const LET_QUEUE_CREATE = /* sql */ `
  DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO keyledger_queue', current_database()); END $$;
`;
const STOP_QUEUE_CREATING = /* sql */ `
  DO $$ BEGIN EXECUTE format('REVOKE CREATE ON DATABASE %I FROM keyledger_queue', current_database()); END $$;
`;
