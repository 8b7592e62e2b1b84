import { finished } from 'node:stream/promises';
import type pg from 'pg';
import { v7 } from 'uuid';
import { AuditReader } from '#libs/audit/audit-reader.js';
import { AuditService } from '#libs/audit/audit.service.js';
import type { Client } from '#libs/client/client.js';
import { fromUuid, toUuid } from '#libs/contract/ids.js';
import type { UsedKey, UseRecord } from '#libs/contract/use-records.js';
import { sessionOptions, survivingPool } from '#libs/database/database.js';
import type { Authority } from '#libs/organizations/authority.js';
import { batchOfUses, type Batch } from '#libs/outbox/batches.js';
import { shardOf } from '#libs/outbox/shard.js';
import { OpenStreams } from '#libs/platform/http/open-streams.js';
import type { Bench } from '../bench.ts';
import type { Deployment } from '../deployment.ts';
import type { Customer, Key } from '../keys.ts';
import { bytesOf, growth, vacuumedBytes } from '../disk.ts';
import { cpuSeconds } from '../proc.ts';
import { REST_CORE, SERVER_CORE } from '../processes.ts';
import { progress, quantile, type Figure, type Result } from '../report.ts';
import {
  ABSENT_ADDRESS,
  consumerTraffic,
  partnerTraffic,
  RARE_ADDRESS,
  trafficOfMany,
  USES_A_SECOND,
  type Traffic,
} from '../traffic.ts';

/** The share of the uses that is ingested before the measurement, so that the worker's code is compiled. */
const WARM_UP = 0.25;
const CONSUMER_KEYS = 10;
const ORGANIZATIONS_OF_MANY = 500;
/** With fewer uses, there are fewer organizations. */
const USES_OF_ONE_OF_MANY = 1_000;
const KEYS_OF_ONE_OF_MANY = 2;
/** As many uses as the admission puts into one row under load. */
const USES_IN_BATCH = 100;
const SOURCE = 'https://keys.example.com';
const BATCHES_IN_STATEMENT = 20;
const PAGE = 50;
/** Sent before the pages of a search are measured: until its code is compiled, a page takes up to 2 ms more. */
const WARM_UP_REQUESTS = 500;
const REQUESTS = 1_000;
/** A search that is slow gets fewer requests. */
const MAX_SEARCH_MS = 4_000;
const MS_PER_HOUR = 3_600_000;

type Row = Record<string, string | number>;

/** Fills the logs with each profile of uses, and then reads the log of an organization with the most uses. */
export async function measureAudit(bench: Bench): Promise<Result> {
  const { deployment, amounts } = bench;
  const profiles = await profilesOf(deployment, amounts.events);
  const pool = survivingPool({ connectionString: deployment.databaseUrl, options: sessionOptions('keyledger_api') });
  const rows: Row[] = [];
  const figures: Figure[] = [];
  const tables: Record<string, readonly Row[]> = {};
  deployment.pinWorker(SERVER_CORE);
  try {
    for (const { traffic, customer } of profiles) {
      const uses = amounts.events;
      const filled = await fill(deployment, traffic, uses);
      figures.push(...filled.figures);
      tables[`${traffic.name}: bytes on disk for each use`] = filled.tables;
      // Or PostgreSQL would write what the ingestion has left while pages are read.
      await deployment.sql.query('CHECKPOINT');
      rows.push(...(await measurePages(customer, traffic, uses)));
      figures.push(await measureExport(pool, traffic));
    }
  } finally {
    deployment.pinWorker(REST_CORE);
    await pool.end();
  }
  return {
    tables,
    rows,
    figures,
    notes: [
      `Pages of ${PAGE} from the log of an organization with the most uses, requested from the API. The export is read in ` +
        'the process of the benchmark.',
    ],
  };
}

interface Profile {
  readonly traffic: Traffic;
  /** Can read the log. */
  readonly customer: Customer;
}

/** The keys of each profile, and the uses that they will have. */
async function profilesOf(deployment: Deployment, uses: number): Promise<Profile[]> {
  const { sql } = deployment;
  // After the events that are in the logs already, so that these are not late, and at a full hour, because usage is
  // counted by the hour.
  const startedAt = new Date(Math.ceil(Date.now() / MS_PER_HOUR) * MS_PER_HOUR);
  const consumer = await deployment.addCustomer(CONSUMER_KEYS);
  const many = await deployment.addOrganizations(
    Math.min(ORGANIZATIONS_OF_MANY, Math.ceil(uses / USES_OF_ONE_OF_MANY)),
    KEYS_OF_ONE_OF_MANY,
  );
  await deployment.auditLog.emptied();
  return [
    {
      traffic: partnerTraffic(
        await usedKeysOfEach(
          sql,
          deployment.customers.map(({ keys }) => keys),
        ),
        startedAt,
      ),
      customer: deployment.customers[0]!.customer,
    },
    {
      traffic: consumerTraffic(await usedKeys(sql, consumer.keys), startedAt),
      customer: consumer.customer,
    },
    {
      traffic: trafficOfMany(await usedKeysOfEach(sql, many.organizations), startedAt),
      customer: many.customer,
    },
  ];
}

async function usedKeysOfEach(sql: pg.Client, organizations: readonly (readonly Key[])[]): Promise<UsedKey[][]> {
  const used: UsedKey[][] = [];
  for (const keys of organizations) used.push(await usedKeys(sql, keys));
  return used;
}

async function usedKeys(sql: pg.Client, keys: readonly Key[]): Promise<UsedKey[]> {
  const { rows } = await sql.query<{ id: string; secret_id: string; organization_id: string }>(
    `SELECT k.id, s.id AS secret_id, k.organization_id FROM api_key k JOIN api_key_secret s ON s.api_key_id = k.id
     WHERE k.id = ANY($1::uuid[]) ORDER BY k.id`,
    [keys.map(({ id }) => toUuid(id))],
  );
  return rows.map((row) => ({
    apiKeyId: fromUuid('key', row.id),
    projectId: null,
    secretId: fromUuid('secret', row.secret_id),
    organizationId: fromUuid('org', row.organization_id),
  }));
}

/** Puts uses into the outbox while the worker is paused, and measures the worker that ingests them. */
async function fill(deployment: Deployment, traffic: Traffic, uses: number) {
  const { sql, auditLog } = deployment;
  const { name } = traffic;
  const outbox = new OutboxFiller(deployment, traffic);
  const warmUp = Math.floor(uses * WARM_UP);
  progress(`${name}: warming up`);
  const bytesBefore = await vacuumedBytes(sql);
  const sizeBefore = await totalSize(sql);
  await outbox.put(0, warmUp);
  await auditLog.emptied();
  deployment.holdWorker();
  progress(`${name}: filling the outbox with ${uses - warmUp} uses`);
  await outbox.put(warmUp, uses);
  await sql.query('CHECKPOINT');
  progress(`${name}: emptying it`);
  const postgres = await deployment.postgresPid();
  const cpu = () => ({
    worker: cpuSeconds(deployment.workerPid),
    postgresql: postgres ? cpuSeconds(postgres) : Number.NaN,
  });
  const before = cpu();
  const began = performance.now();
  deployment.letWorkerGoOn();
  await auditLog.emptied();
  const seconds = (performance.now() - began) / 1000;
  const after = cpu();
  const gained = (await totalSize(sql)) - sizeBefore;
  if (gained !== uses) throw new Error(`${uses} uses were put into the outbox and ${gained} are in the audit log`);
  const grown = growth(bytesBefore, await vacuumedBytes(sql));
  const each = (bytes: number) => Number((bytes / uses).toFixed(1));
  const measured = uses - warmUp;
  return {
    tables: grown.map((bytes) => ({
      table: bytes.table,
      'rows B': each(bytes.rows),
      'TOAST B': each(bytes.toast),
      'indexes B': each(bytes.indexes),
      'all B': each(bytesOf(bytes)),
    })),
    figures: [
      { what: `${name}: ingested`, value: measured / seconds, unit: 'events a second' },
      {
        what: `${name}: CPU of the worker`,
        value: ((after.worker - before.worker) / measured) * 1e6,
        unit: 'µs for each event',
      },
      {
        what: `${name}: CPU of PostgreSQL`,
        value: ((after.postgresql - before.postgresql) / measured) * 1e6,
        unit: 'µs for each event',
      },
      {
        what: `${name}: on disk`,
        value: grown.reduce((sum, bytes) => sum + bytesOf(bytes), 0) / uses,
        unit: 'bytes for each use',
      },
    ],
  };
}

async function totalSize(sql: pg.Client): Promise<number> {
  const { rows } = await sql.query<{ size: number }>('SELECT coalesce(sum(size), 0)::float8 AS size FROM audit_log');
  return rows[0]!.size;
}

/** Writes uses to the outbox in batches, as the admission does. */
class OutboxFiller {
  /** The next batch of each shard. */
  readonly #open = new Map<number, UseRecord[]>();
  #batches: (Batch & { shard: number; id: string })[] = [];
  readonly #sql: pg.Client;
  readonly #traffic: Traffic;

  constructor({ sql }: Deployment, traffic: Traffic) {
    this.#sql = sql;
    this.#traffic = traffic;
  }

  async put(from: number, below: number): Promise<void> {
    for (let n = from; n < below; n++) {
      const use = this.#traffic.use(n);
      const shard = shardOf(use.key.organizationId);
      const open = this.#open.get(shard) ?? [];
      if (open.push(use) === 1) this.#open.set(shard, open);
      if (open.length === USES_IN_BATCH) this.#close(shard);
      if (this.#batches.length === BATCHES_IN_STATEMENT) await this.#write();
    }
    for (const shard of this.#open.keys()) this.#close(shard);
    await this.#write();
  }

  #close(shard: number): void {
    this.#batches.push({ shard, id: v7(), ...batchOfUses(SOURCE, this.#open.get(shard)!) });
    this.#open.delete(shard);
  }

  async #write(): Promise<void> {
    const batches = this.#batches;
    this.#batches = [];
    await this.#sql.query(
      `INSERT INTO outbox (shard, id, version, body)
       SELECT * FROM unnest($1::smallint[], $2::uuid[], $3::smallint[], $4::bytea[])`,
      [
        batches.map(({ shard }) => shard),
        batches.map(({ id }) => id),
        batches.map(({ version }) => version),
        batches.map(({ body }) => body),
      ],
    );
  }
}

type Search = NonNullable<Parameters<Client['audit']['listEvents']>[0]>['query'];

async function measurePages(
  customer: Customer,
  { name, frequentKey, startedAt }: Traffic,
  uses: number,
): Promise<Row[]> {
  const at = (share: number) => new Date(startedAt.getTime() + (share * uses * 1000) / USES_A_SECOND).toISOString();
  const searches: Record<string, Search> = {
    'no filter': {},
    'a frequent key': { key_id: frequentKey.apiKeyId },
    'a rare address': { ip: RARE_ADDRESS },
    'an absent address': { ip: ABSENT_ADDRESS },
    'that key, outcome valid': { key_id: frequentKey.apiKeyId, outcome: 'valid' },
    'a time far back': { from: at(0.1), to: at(0.2) },
  };
  const rows: Row[] = [];
  for (const [search, filter] of Object.entries(searches)) {
    progress(`${name}: pages, ${search}`);
    const client = await customer.client();
    const page = async (order: 'asc' | 'desc') =>
      (
        await client.audit.listEvents({
          query: { ...filter, organization_id: frequentKey.organizationId, limit: PAGE, order },
        })
      ).data.length;
    await repeated(() => page('desc'), WARM_UP_REQUESTS);
    const newest = await timesOf(() => page('desc'));
    const oldest = await timesOf(() => page('asc'));
    rows.push({
      log: name,
      search,
      events: newest.found,
      'newest first: p50 ms': quantile(newest.times, 0.5),
      'p99 ms': quantile(newest.times, 0.99),
      requests: newest.times.length,
      'oldest first: p50 ms': quantile(oldest.times, 0.5),
      'p99 ms ': quantile(oldest.times, 0.99),
      'requests ': oldest.times.length,
    });
  }
  return rows;
}

async function timesOf(request: () => Promise<number>): Promise<{ found: number; times: number[] }> {
  const found = await request();
  return { found, times: await repeated(request, REQUESTS) };
}

/** @returns how many milliseconds each request took */
async function repeated(request: () => Promise<unknown>, most: number): Promise<number[]> {
  const times: number[] = [];
  const until = performance.now() + MAX_SEARCH_MS;
  while (times.length < most && performance.now() < until) {
    const began = performance.now();
    await request();
    times.push(performance.now() - began);
  }
  return times;
}

async function measureExport(pool: pg.Pool, { name, frequentKey: { organizationId } }: Traffic): Promise<Figure> {
  progress(`${name}: export`);
  // Exports use no tails and ask for no owners of keys.
  const service = new AuditService(new AuditReader(pool), undefined as never, new OpenStreams(), undefined as never);
  const authority = { organizationId, rights: { projectId: null } } as Authority<'audit:read'>;
  const began = performance.now();
  const stream = await service.export(authority, {}, 'jsonl');
  let events = 0;
  stream.on('data', (chunk: Buffer) => {
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) events += 1;
  });
  await finished(stream);
  return {
    what: `${name}: exported as JSON Lines`,
    value: (events * 1000) / (performance.now() - began),
    unit: 'events a second',
  };
}
