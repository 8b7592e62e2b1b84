import { Gauge } from 'prom-client';
import type pg from 'pg';
import { histogram, PlainCounter, registry, unlessAway, type Gauges } from '#libs/platform/metrics.js';
import { outboxDepth } from './outbox-depth.js';

export const outboxMetrics = {
  ingested: new PlainCounter('keyledger_events_ingested_total', 'Events that were put into the audit log').of({}),
  batches: histogram(
    'keyledger_ingest_batches',
    'Batches that one transaction took from the outbox',
    [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000],
  ),
  seconds: histogram(
    'keyledger_ingest_seconds',
    'Duration of one transaction from the outbox into the audit log',
    [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10],
  ),
  lag: histogram(
    'keyledger_audit_lag_seconds',
    'Time from an event until it was in the audit log, for the oldest event of each transaction',
    [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60, 600],
  ),
  lastEvent: new Gauge({
    name: 'keyledger_audit_last_event_timestamp_seconds',
    help: 'The time of the last event that this process put into the audit log',
    registers: [registry],
  }),
};

const UNKNOWN = { batches: NaN, age: NaN };

/** Gauges that query the database whenever the metrics are read. */
export function measureOutbox(gauges: Gauges, pool: pg.Pool, newestFormat: number): void {
  gauges.add('keyledger_outbox_rows', 'Batches of events that are waiting for a worker', [], async (set) => {
    set({}, (await unlessAway(outboxDepth(pool), UNKNOWN)).batches);
  });
  const age = 'How long the oldest batch of events has been waiting for a worker';
  gauges.add('keyledger_outbox_oldest_age_seconds', age, [], async (set) => {
    set({}, (await unlessAway(outboxDepth(pool), UNKNOWN)).age);
  });
  const newer = 'Batches of events in a format of a newer version. They wait for a worker of that version';
  gauges.add('keyledger_outbox_newer_rows', newer, [], async (set) => {
    set({}, await unlessAway(newerBatches(pool, newestFormat), NaN));
  });
  const entries = 'Entries that could not be put into the audit log and need an operator';
  gauges.add('keyledger_quarantined_entries', entries, [], async (set) => {
    set({}, await unlessAway(quarantined(pool), NaN));
  });
}

async function newerBatches(database: pg.Pool, newestFormat: number): Promise<number> {
  const { rows } = await database.query<{ batches: number }>(
    'SELECT count(*)::int AS batches FROM outbox WHERE version > $1',
    [newestFormat],
  );
  return rows[0]!.batches;
}

async function quarantined(database: pg.Pool): Promise<number> {
  const { rows } = await database.query<{ entries: number }>(
    'SELECT count(*)::int AS entries FROM event_quarantine WHERE requeued_at IS NULL',
  );
  return rows[0]!.entries;
}
