import { setTimeout as sleep } from 'node:timers/promises';
import { Gauge } from 'prom-client';
import type pg from 'pg';
import { histogram, measured, PlainCounter, registry } from '../metrics.js';
import { inboxDepth } from './inbox-depth.js';

export const inboxMetrics = {
  ingested: new PlainCounter('keyledger_events_ingested_total', 'Events that were put into the trail').of({}),
  batches: histogram(
    'keyledger_ingest_batches',
    'Batches that one transaction took from the inbox',
    [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000],
  ),
  seconds: histogram(
    'keyledger_ingest_seconds',
    'How long one transaction from the inbox into the trail took',
    [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10],
  ),
  lag: histogram(
    'keyledger_trail_lag_seconds',
    'From an event until it was in the trail, for the oldest of each transaction',
    [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60, 600],
  ),
  lastEvent: new Gauge({
    name: 'keyledger_trail_last_event_timestamp_seconds',
    help: 'The time of the last event that this process put into the trail',
    registers: [registry],
  }),
};

/** What only the database knows is asked for whenever somebody reads it; not at all before a process says where. */
let pool: pg.Pool | undefined;

export function measureInbox(ofWorker: pg.Pool): void {
  pool = ofWorker;
}

const NOBODY_KNOWS = { batches: NaN, age: NaN };

measured('keyledger_inbox_batches', 'Batches of events that wait for a worker', async (gauge) => {
  const { batches } = await unlessAway(inboxDepth, NOBODY_KNOWS);
  gauge.set(batches);
});
measured(
  'keyledger_inbox_oldest_age_seconds',
  'How long the oldest batch of events has been waiting for a worker',
  async (gauge) => {
    const { age } = await unlessAway(inboxDepth, NOBODY_KNOWS);
    gauge.set(age);
  },
);
measured(
  'keyledger_quarantined_entries',
  'Entries that could not be put into the trail and wait for somebody to look at them',
  async (gauge) => gauge.set(await unlessAway(quarantined, NaN)),
);

async function quarantined(database: pg.Pool): Promise<number> {
  const { rows } = await database.query<{ entries: number }>('SELECT count(*)::int AS entries FROM event_quarantine');
  return rows[0]!.entries;
}

const DEADLINE_MS = 2_000;

/** While the database is away nobody knows, and the other metrics are to be read all the more. */
async function unlessAway<T>(ask: (database: pg.Pool) => Promise<T>, unknown: T): Promise<T> {
  if (!pool) return unknown;
  return Promise.race([ask(pool).catch(() => unknown), sleep(DEADLINE_MS, unknown, { ref: false })]);
}
