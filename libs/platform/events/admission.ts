import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import pg from 'pg';
import { v7 } from 'uuid';
import { encodeEntries } from '#libs/tlog/entries.js';
import { DatabaseClock } from '../clock.js';
import { Config } from '../config.js';
import { sessionOptions } from '../database.js';
import { DomainError } from '../errors.js';
import { IngestBell } from './ingest-bell.js';

/** One event that is stored only if the authorization state is still the one under which it was decided. */
interface Guarded {
  readonly shard: number;
  /** The tag of the shard's state that the decision was made under; null for what needs no permission, a refusal. */
  readonly tag: string | null;
  /** A second state that has to be as it was: that of the key which asked on behalf of somebody else. */
  readonly callerGuard?: { readonly shard: number; readonly tag: string } | undefined;
  readonly entry: Uint8Array;
}

interface Waiting extends Guarded {
  readonly resolve: (outcome: 'admitted' | 'stale') => void;
  readonly reject: (error: Error) => void;
}

/** Events of one shard decided under the same state: they are stored, or are found stale, together. */
interface Row extends Pick<Guarded, 'shard' | 'tag' | 'callerGuard'> {
  readonly id: string;
  readonly waiting: Waiting[];
}

const MAX_WAITING = 10_000;
const MAX_BATCH = 512;
const STATEMENT_TIMEOUT_MS = 1_000;
/** `statement_timeout` does not end a wait for a standby, so we leave by ourselves. */
const CLIENT_DEADLINE_MS = 2_000;
const RETRIES = 3;
/** Deadlock, lock timeout, statement timeout: the server says that it rolled back. */
const ROLLED_BACK = new Set(['40P01', '55P03', '57014']);

/**
 * The heart of promises 1 and 2: a "yes" is a durable append to the inbox, and the append succeeds only where the shard's
 * state still bears the tag of the decision. A request that begins after a change has answered runs this statement on a
 * snapshot that holds the change, so the tags differ and it is decided anew.
 *
 * Without locks: a change that commits while the statement runs was concurrent with the request.
 */
const ADMIT = {
  name: 'admit',
  text: `
    WITH r AS MATERIALIZED (
      SELECT * FROM unnest($1::smallint[], $2::bigint[], $3::uuid[], $4::bytea[], $5::smallint[], $6::bigint[])
        AS t (shard, tag, id, body, caller_shard, caller_tag)
    ), ok AS MATERIALIZED (
      SELECT r.shard, r.id, r.body FROM r
      JOIN authz_state a ON a.shard = r.shard
      LEFT JOIN authz_state c ON c.shard = r.caller_shard
      WHERE (r.tag IS NULL OR a.tag = r.tag) AND (r.caller_tag IS NULL OR c.tag = r.caller_tag)
    ), ins AS (
      INSERT INTO event_batch (shard, id, body) SELECT shard, id, body FROM ok RETURNING id
    )
    SELECT array(SELECT id FROM ins)::text[] AS admitted,
           extract(epoch FROM statement_timestamp())::float8 * 1000 AS database_time`,
};

/**
 * Gathers what is to be appended and sends it in batches that clock themselves: one is in flight, the next gathers
 * meanwhile. On a connection of its own, so that nothing else makes it wait.
 */
@Injectable()
export class Admission implements OnApplicationShutdown {
  readonly #logger = new Logger(Admission.name);
  readonly #databaseUrl: string;
  #waiting: Waiting[] = [];
  #client: pg.Client | undefined;
  #pumping: Promise<void> | undefined;

  constructor(
    config: Config,
    private readonly clock: DatabaseClock,
    private readonly bell: IngestBell,
  ) {
    this.#databaseUrl = config.settings.DATABASE_URL;
  }

  /**
   * `admitted`: the event is on disk. `stale`: the state has moved, nothing was stored; decide again.
   * @throws DomainError `audit_unavailable` when it could not be stored, or it is not known whether it was.
   */
  append(event: Guarded): Promise<'admitted' | 'stale'> {
    if (this.#waiting.length >= MAX_WAITING) {
      return Promise.reject(unavailable('Too many requests are waiting to be recorded'));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...event, resolve, reject });
      this.#pumping ??= this.#pump();
    });
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#pumping;
    await this.#client?.end().catch(() => undefined);
  }

  async #pump(): Promise<void> {
    // What arrives in the same turn of the event loop goes along.
    await new Promise(setImmediate);
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, MAX_BATCH);
      try {
        await this.#flush(batch);
      } catch (error) {
        this.#logger.error(`Events could not be stored: ${String(error)}`);
        for (const waiting of batch) waiting.reject(unavailable('The request could not be recorded'));
      }
    }
    this.#pumping = undefined;
  }

  async #flush(batch: Waiting[]): Promise<void> {
    const rows = [...Map.groupBy(batch, stateOf).values()].map((waiting): Row => {
      const { shard, tag, callerGuard } = waiting[0]!;
      return { id: v7(), shard, tag, callerGuard, waiting };
    });
    const admitted = await this.#send(rows);
    for (const row of rows) {
      if (admitted.has(row.id)) this.bell.ring(row.shard);
      for (const waiting of row.waiting) waiting.resolve(admitted.has(row.id) ? 'admitted' : 'stale');
    }
  }

  async #send(rows: Row[]): Promise<Set<string>> {
    const values = [
      rows.map((row) => row.shard),
      rows.map((row) => row.tag),
      rows.map((row) => row.id),
      rows.map((row) => encodeEntries(row.waiting.map((waiting) => waiting.entry))),
      rows.map((row) => row.callerGuard?.shard ?? null),
      rows.map((row) => row.callerGuard?.tag ?? null),
    ];
    for (let attempt = 1; ; attempt++) {
      const sentAt = performance.now();
      try {
        const result = await this.#query(values);
        this.clock.observe(result.database_time, sentAt);
        return new Set(result.admitted);
      } catch (error) {
        const code = error instanceof pg.DatabaseError ? error.code : undefined;
        if (attempt === RETRIES || !code || !ROLLED_BACK.has(code)) throw error;
      }
    }
  }

  async #query(values: unknown[]): Promise<{ admitted: string[]; database_time: number }> {
    const client = (this.#client ??= await this.#connect());
    let timer: NodeJS.Timeout | undefined;
    try {
      const result = await Promise.race([
        client.query<{ admitted: string[]; database_time: number }>({ ...ADMIT, values }),
        new Promise<never>((_, reject) => {
          timer = setTimeout(() => reject(new Error(`no answer within ${CLIENT_DEADLINE_MS} ms`)), CLIENT_DEADLINE_MS);
        }),
      ]);
      return result.rows[0]!;
    } catch (error) {
      // Whether the append happened is unknown unless the server itself refused it. The connection goes, so that a late
      // answer cannot be taken for another's, and nothing is sent again: that could record a use twice.
      if (!(error instanceof pg.DatabaseError)) this.#drop(client);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: this.#databaseUrl,
      application_name: 'keyledger admission',
      connectionTimeoutMillis: CLIENT_DEADLINE_MS,
      keepAlive: true,
      options: sessionOptions('keyledger_api', {
        lock_timeout: '250ms',
        statement_timeout: `${STATEMENT_TIMEOUT_MS}ms`,
        synchronous_commit: 'on',
      }),
    });
    client.on('error', () => this.#drop(client));
    await client.connect();
    return client;
  }

  #drop(client: pg.Client): void {
    if (this.#client === client) this.#client = undefined;
    client.connection.stream.destroy();
  }
}

/** What the event was decided under, as one text. */
function stateOf({ shard, tag, callerGuard }: Guarded): string {
  return `${shard} ${tag} ${callerGuard?.shard} ${callerGuard?.tag}`;
}

function unavailable(detail: string): DomainError {
  return new DomainError('audit_unavailable', detail, { retryAfter: 1 });
}
