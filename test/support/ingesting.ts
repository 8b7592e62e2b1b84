import type pg from 'pg';
import { AuditWriter } from '#libs/audit/audit-writer.js';
import { fromUuid, newId, toUuid } from '#libs/contract/ids.js';
import { survivingPool } from '#libs/database/database.js';
import { Ingester } from '#libs/outbox/ingester.js';
import { Events } from '#libs/outbox/event.js';
import { Quarantine } from '#libs/outbox/quarantine.js';
import { DatabaseClock } from '#libs/platform/clock.js';
import { readConfigWithoutDatabase } from '#libs/platform/config.js';
import { Gauges } from '#libs/platform/metrics.js';
import { PersonalData } from '#libs/platform/personal-data.js';
import { UsageCounter } from '#libs/usage/usage-counter.js';
import { createDatabase } from './deployment.js';
import { event, type Said } from './events.js';

/** A database without processes, in which the test itself ingests events. */
export async function startIngesting() {
  const database = await createDatabase();
  /** Connects as the superuser. */
  const sql = survivingPool({ connectionString: database.adminUrl, max: 4 });
  /** Connects as the worker. */
  const worker = survivingPool({ connectionString: database.workerUrl, max: 4 });
  return {
    database,
    sql,
    worker,
    ingester: newIngester(worker),
    async stop() {
      await Promise.all([sql.end(), worker.end()]);
      await database.drop();
    },
  };
}

export type Ingesting = Awaited<ReturnType<typeof startIngesting>>;

/** An ingester with the worker's subscribers, without the worker's queue and its sweep. */
export function newIngester(pool: pg.Pool): Ingester {
  const config = readConfigWithoutDatabase({});
  const clock = new DatabaseClock();
  const quarantine = new Quarantine(new Events(clock, new PersonalData(config), config));
  return new Ingester(pool, [new AuditWriter(), new UsageCounter()], quarantine, clock, new Gauges());
}

/** @param shard the shard of the organization, or a random one */
export async function newOrganization(sql: pg.Pool, shard?: number): Promise<string> {
  const uuid = toUuid(newId('org', new Date()));
  const id = shard === undefined ? uuid : uuid.replace(/.$/, shard.toString(16));
  await sql.query(
    `INSERT INTO organization (id, name, personal, created_at, updated_at, version) VALUES ($1, 'Test', false, now(), now(), 1)`,
    [id],
  );
  return fromUuid('org', id);
}

export function keyNumber(n: number): string {
  return fromUuid('key', `01900000-0000-7000-8000-${String(n).padStart(12, '0')}`);
}

/** A use of a key, with all that the subscribers need. */
export function use(organizationId: string, { data, ...said }: Partial<Said> = {}): Uint8Array {
  const subject = said.subject ?? keyNumber(1);
  return event(organizationId, {
    type: 'api_key.used',
    ...said,
    subject,
    data: {
      actor: { type: 'api_key', id: subject },
      ip: '192.0.2.1',
      method: 'GET',
      path: '/v1/agents',
      cost: 1,
      ...data,
    },
  });
}
