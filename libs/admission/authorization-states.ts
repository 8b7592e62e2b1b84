import { Inject, Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import type pg from 'pg';
import { DATABASE_TIME, DatabaseClock } from '#libs/platform/clock.js';
import { IMPATIENT, VERIFICATION_POOL } from '#libs/database/database.js';
import { errorText } from '#libs/platform/error-text.js';
import { SHARDS } from '#libs/outbox/shard.js';

/** The kinds of objects whose changes can make decisions wrong. */
export const CHANGED_KINDS = ['api_key', 'project', 'organization', 'member'] as const;
export type ChangedKind = (typeof CHANGED_KINDS)[number];

/** A shard's authorization state: `seq` counts its changes, and each change draws a new random `tag`. */
export interface AuthorizationState {
  readonly seq: number;
  readonly tag: string;
}

/** A change that makes earlier decisions wrong. */
export interface AuthorizationChange extends AuthorizationState {
  readonly kind: ChangedKind;
  /** A bare UUID. `kind` says what it identifies. */
  readonly id: string;
}

/** A shard as one statement read it: its state, and its changes from that which led to the known state. */
export interface ReadState extends AuthorizationState {
  readonly changes: readonly AuthorizationChange[];
}

/** A cache of data for decisions. It is called before the state changes, in the same turn of the event loop. */
export interface StateFollower {
  forget(shard: number, change: AuthorizationChange): void;
  forgetAll(shard: number): void;
}

const READ_EVERY_MS = 1_000;
/** How soon the states are read after a change is noticed. The delay lets one statement read many changes. */
const READ_SOON_MS = 25;
/** How many changes of each shard are kept, for values that were loaded shortly before them. */
const REMEMBERED = 512;

const READ = {
  name: 'authorization-states',
  ...IMPATIENT,
  text: `
    SELECT a.shard, a.seq::float8 AS seq, a.tag::text AS tag,
           CASE WHEN a.tag = known.tag THEN '[]'::json ELSE (
             SELECT coalesce(json_agg(json_build_object('seq', c.seq, 'tag', c.tag::text, 'kind', c.kind, 'id', c.id)
                                      ORDER BY c.seq), '[]'::json)
             FROM authz_change c WHERE c.shard = a.shard AND c.seq BETWEEN known.seq AND a.seq
           ) END AS changes,
           ${DATABASE_TIME} AS database_time
    FROM authz_state a JOIN unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY AS known (seq, tag, number)
      ON a.shard = known.number - 1`,
};

/**
 * The authorization states as of which this node's caches are valid. Only this class changes them, and in the same turn
 * of the event loop the caches drop what the change made wrong. So code that reads a cache and the state without an
 * `await` in between gets values that belong together.
 */
@Injectable()
export class AuthorizationStates implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #logger = new Logger(AuthorizationStates.name);
  readonly #states: AuthorizationState[] = Array.from({ length: SHARDS }, () => ({ seq: -1, tag: '0' }));
  /** The last changes of each shard, without gaps, up to its known state. */
  readonly #recent: AuthorizationChange[][] = Array.from({ length: SHARDS }, () => []);
  readonly #followers: StateFollower[] = [];
  #reading: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #soon: NodeJS.Timeout | undefined;

  constructor(
    private readonly clock: DatabaseClock,
    @Inject(VERIFICATION_POOL) private readonly pool: pg.Pool,
  ) {}

  /** A "no" is confirmed by {@link refresh}. The interval keeps the caches current as well. */
  onApplicationBootstrap(): void {
    this.#timer = setInterval(() => this.#refreshInBackground(), READ_EVERY_MS).unref();
  }

  async onApplicationShutdown(): Promise<void> {
    clearInterval(this.#timer);
    clearTimeout(this.#soon);
    await Promise.allSettled([this.#reading, this.#next]);
  }

  follow(follower: StateFollower): void {
    this.#followers.push(follower);
  }

  of(shard: number): AuthorizationState {
    return this.#states[shard]!;
  }

  /**
   * The changes since a state of the shard; null if they are unknown, or if that state is newer than the known one. Do
   * not `await` between this call and reading the known state.
   */
  since(shard: number, { seq, tag }: AuthorizationState): readonly AuthorizationChange[] | null {
    if (this.of(shard).tag === tag) return [];
    const recent = this.#recent[shard]!;
    const index = recent.findIndex((change) => change.seq === seq && change.tag === tag);
    return index < 0 ? null : recent.slice(index + 1);
  }

  /** For work that is still correct with an older state, but slower. */
  refreshSoon(): void {
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      this.#refreshInBackground();
    }, READ_SOON_MS).unref();
  }

  #refreshInBackground(): void {
    void this.refresh().catch((error: unknown) => this.#logger.debug(`States could not be read: ${errorText(error)}`));
  }

  /** Resolves when a statement that began after this call has read the states. Concurrent calls share one statement. */
  refresh(): Promise<void> {
    if (!this.#reading) {
      this.#reading = this.#read().finally(() => (this.#reading = undefined));
      return this.#reading;
    }
    // The statement in progress may have begun before the change that the caller must see.
    this.#next ??= this.#reading
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return this.refresh();
      });
    return this.#next;
  }

  async #read(): Promise<void> {
    const rows = await this.clock.query<ReadState & { shard: number; database_time: number }>(this.pool, {
      ...READ,
      values: [this.#states.map(({ seq }) => seq), this.#states.map(({ tag }) => tag)],
    });
    for (const { shard, seq, tag, changes } of rows) this.#moveTo(shard, { seq, tag, changes });
  }

  #moveTo(shard: number, read: ReadState): void {
    const known = this.of(shard);
    if (known.tag === read.tag) return;
    const changes = changesBetween(known, read);
    const toForget = changes && eachObjectOnce(changes);
    for (const follower of this.#followers) {
      if (toForget) for (const change of toForget) follower.forget(shard, change);
      else follower.forgetAll(shard);
    }
    this.#recent[shard] = changes ? [...this.#recent[shard]!, ...changes].slice(-REMEMBERED) : [];
    this.#states[shard] = { seq: read.seq, tag: read.tag };
  }
}

/**
 * The changes between two states, or null if they are unknown: if the known state is no longer recorded, or never was
 * (after a failover, a lost sequence number is used again, but a tag is not), if a later change is missing, or if one
 * is of a kind that only a newer version knows.
 */
export function changesBetween(known: AuthorizationState, read: ReadState): readonly AuthorizationChange[] | null {
  const [first, ...after] = read.changes;
  if (first?.seq !== known.seq || first.tag !== known.tag) return null;
  const isWhole =
    after.length === read.seq - known.seq &&
    after.every(({ seq, kind }, index) => seq === known.seq + 1 + index && CHANGED_KINDS.includes(kind)) &&
    after.at(-1)?.tag === read.tag;
  return isWhole ? after : null;
}

/** The last change of each object: a follower may look through all entries of the shard for each one. */
export function eachObjectOnce(changes: readonly AuthorizationChange[]): readonly AuthorizationChange[] {
  return [...new Map(changes.map((change) => [`${change.kind} ${change.id}`, change])).values()];
}
