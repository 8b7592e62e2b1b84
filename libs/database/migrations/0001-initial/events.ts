/** Authorization states, the outbox, and events that the worker could not ingest. */
export const EVENTS = /* sql */ `
  -- The authorization state of each shard. Every change of the shard draws a new tag.
  CREATE TABLE authz_state (
    shard smallint PRIMARY KEY,
    seq bigint NOT NULL,
    tag bigint NOT NULL
  ) WITH (fillfactor = 50);
  INSERT INTO authz_state SELECT shard, 0, ('x' || substr(md5(random()::text), 1, 16))::bit(64)::bigint
  FROM generate_series(0, 15) AS shard;

  CREATE TABLE authz_change (
    shard smallint NOT NULL,
    seq bigint NOT NULL,
    tag bigint NOT NULL,
    kind text NOT NULL,
    id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (shard, seq, id)
  );

  -- Events that are stored but not ingested yet. A row contains several, in the format that its version names
  -- (libs/outbox/batches.ts). A worker leaves newer formats to newer workers.
  CREATE TABLE outbox (
    shard smallint NOT NULL,
    id uuid NOT NULL,
    version smallint NOT NULL,
    body bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (shard, id)
  );

  -- One row for each shard. The worker that locks it ingests the shard's events.
  CREATE TABLE ingest (
    shard smallint PRIMARY KEY,
    -- How many of the shard's last records could not be read.
    unreadable_in_a_row integer NOT NULL DEFAULT 0
  );
  INSERT INTO ingest SELECT generate_series(0, 15);

  -- Records that could not be ingested.
  CREATE TABLE event_quarantine (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shard smallint NOT NULL,
    batch_id uuid NOT NULL,
    -- The record, as a row of the outbox would contain it alone.
    version smallint NOT NULL,
    body bytea NOT NULL,
    -- The number of its events; null if it cannot be told.
    events integer,
    reason text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    -- When it was put back into the outbox.
    requeued_at timestamptz
  );
`;
