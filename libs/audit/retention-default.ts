import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import type pg from 'pg';
import { toUuid } from '#libs/contract/ids.js';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import { DATABASE_POOL, inTransaction } from '#libs/database/database.js';
import { Events } from '#libs/outbox/event.js';
import { recordOwnEvents } from '#libs/outbox/own-events.js';
import { Config } from '#libs/platform/config.js';

/**
 * Writes the default of AUDIT_RETENTION_DAYS to the database at start, where the functions that prune read it: the worker
 * cannot claim another one. The audit log of the deployment records a change.
 */
@Injectable()
export class RetentionDefault implements OnApplicationBootstrap {
  constructor(
    private readonly config: Config,
    private readonly events: Events,
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    const after = this.config.settings.AUDIT_RETENTION_DAYS ?? null;
    if ((await readDays(this.pool)) !== after) await inTransaction(this.pool, (client) => this.#write(client, after));
  }

  async #write(client: pg.PoolClient, after: number | null): Promise<void> {
    const id = toUuid(DEPLOYMENT_ID);
    // Several nodes start at once, and one of them records the change.
    await client.query('SELECT FROM organization WHERE id = $1 FOR UPDATE', [id]);
    const before = await readDays(client);
    if (before === after) return;
    await client.query(
      `INSERT INTO audit_retention (organization_id, days) VALUES ($1, $2)
       ON CONFLICT (organization_id) DO UPDATE SET days = excluded.days`,
      [id, after],
    );
    const data = { before, after };
    await recordOwnEvents(client, this.events, DEPLOYMENT_ID, [
      { type: 'audit_log.retention_changed', subject: DEPLOYMENT_ID, data },
    ]);
  }
}

async function readDays(database: Pick<pg.Pool, 'query'> | pg.ClientBase): Promise<number | null> {
  const { rows } = await database.query<{ days: number | null }>(
    'SELECT days FROM audit_retention WHERE organization_id = $1',
    [toUuid(DEPLOYMENT_ID)],
  );
  return rows[0]?.days ?? null;
}
