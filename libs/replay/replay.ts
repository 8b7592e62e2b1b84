import type pg from 'pg';
import { z } from 'zod';
import type { EventEnvelope } from '#libs/contract/events.js';
import { fromUuid, toUuid } from '#libs/contract/ids.js';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import { groupOf, shardOf } from '#libs/outbox/shard.js';
import { BUNDLE_ENTRIES } from '#libs/tlog/entries.js';
import { applyEntry, applyWaiting } from './apply.js';
import { compare, type Difference, type LeftOut } from './compare.js';
import { OF_ALL, OF_DEPLOYMENT, OF_ORGANIZATION } from './compared.js';
import {
  entriesOf,
  NotReplayable,
  readHead,
  readRecorded,
  recordedStates,
  waitingOf,
  type Client,
} from './log-entries.js';
import { stateOf } from './recorded-state.js';
import { State } from './state.js';

/** The result for one organization. */
export interface Replayed {
  /** Null for what follows from all logs together. */
  readonly organizationId: string | null;
  /** The events that were read, those in the outbox included. */
  readonly events: number;
  readonly differences: readonly Difference[];
  /** What could not be compared, because the log does not say it. */
  readonly leftOut: readonly LeftOut[];
  /** Why the log could not be replayed in full; null if it could. */
  readonly gap: string | null;
}

/**
 * Rebuilds the state of each organization from its log alone, and compares it with the database.
 * @param organizationId only this organization, and nothing that follows from several logs
 */
export async function* replayLogs(client: pg.ClientBase, organizationId?: string): AsyncGenerator<Replayed> {
  const { rows } = await client.query<{ id: string }>(
    `SELECT id FROM (SELECT id FROM organization UNION SELECT organization_id FROM audit_log) AS logs
     WHERE id = $1 OR $1 IS NULL ORDER BY id`,
    [organizationId ? toUuid(organizationId) : null],
  );
  const all = new Verifications();
  for (const { id } of rows) yield replayLog(client, fromUuid('org', id), all);
  if (organizationId === undefined) yield all.compare(client);
}

async function replayLog(client: pg.ClientBase, organizationId: string, all: Verifications): Promise<Replayed> {
  const replay = new LogReplay(client, organizationId);
  try {
    // Bundles never change, so most are read without a transaction, which would keep PostgreSQL from cleaning up.
    const { size } = await readHead(client, organizationId);
    await replay.begin();
    await replay.readTo(size - (size % BUNDLE_ENTRIES));
    return await inSnapshot(client, async () => {
      await replay.readTo((await readHead(client, organizationId)).size);
      all.add(organizationId, replay);
      for await (const envelope of waitingOf(client, organizationId)) replay.addWaiting(envelope);
      const kinds = organizationId === DEPLOYMENT_ID ? OF_DEPLOYMENT : OF_ORGANIZATION;
      const { differences, leftOut } = await compare(client, replay.state, kinds, [toUuid(organizationId)]);
      const ended = [...endedBalances(replay.state)];
      const gap = quarantinedIn(replay.state);
      return { organizationId, events: replay.events, differences: [...differences, ...ended], leftOut, gap };
    });
  } catch (error) {
    all.isComplete = false;
    return notReplayed(organizationId, replay.events, error);
  }
}

/** @throws the error if it says nothing about the log */
function notReplayed(organizationId: string | null, events: number, error: unknown): Replayed {
  if (!(error instanceof NotReplayable)) throw error;
  return { organizationId, events, differences: [], leftOut: [], gap: error.message };
}

async function inSnapshot<T>(client: pg.ClientBase, work: () => Promise<T>): Promise<T> {
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  try {
    return await work();
  } finally {
    await client.query('ROLLBACK');
  }
}

/** Reads one log from its beginning, or from a recorded state if the beginning was pruned. */
export class LogReplay {
  state = new State();
  /** The leaf index before which everything was read. */
  next = 0;
  events = 0;

  constructor(
    private readonly client: Client,
    private readonly organizationId: string,
  ) {}

  /**
   * @param latest whether to begin with the latest recorded state up to this leaf index, even if nothing was pruned
   * @throws NotReplayable if the beginning was pruned, and the log has no complete state from after it
   */
  async begin(latest?: number): Promise<void> {
    const { minimumIndex } = await readHead(this.client, this.organizationId);
    if (minimumIndex === 0 && latest === undefined) return;
    const recorded = await recordedStates(this.client, this.organizationId);
    const usable = recorded.filter(
      ({ stateBelow }) => stateBelow >= minimumIndex && stateBelow <= (latest ?? Infinity),
    );
    // The earliest one leaves most to be rebuilt from events.
    const place = latest === undefined ? usable[0] : usable.at(-1);
    const state = place && stateOf(await readRecorded(this.client, this.organizationId, place));
    if (state) {
      this.state = state;
      this.next = place.stateBelow;
    } else if (minimumIndex > 0) {
      throw new NotReplayable(
        `the entries before leaf ${minimumIndex} were pruned, and no state was recorded after them`,
      );
    }
  }

  async readTo(below: number): Promise<void> {
    if (below <= this.next) return;
    const span = { from: this.next, below };
    for await (const envelope of entriesOf(this.client, this.organizationId, span)) {
      this.#add(envelope, applyEntry);
      this.next += 1;
    }
  }

  /** Adds an event that still waits in the outbox. */
  addWaiting(envelope: EventEnvelope): void {
    this.#add(envelope, applyWaiting);
  }

  #add(envelope: EventEnvelope, apply: (state: State, envelope: EventEnvelope) => void): void {
    try {
      apply(this.state, envelope);
    } catch (error) {
      if (!(error instanceof z.ZodError)) throw error;
      throw new NotReplayable(
        `the event ${envelope.id} of the type ${envelope.type} is not one that this version knows`,
      );
    }
    this.events += 1;
  }
}

/** The balance that was removed must be what the log says was left. */
function* endedBalances(state: State): Generator<Difference> {
  for (const [id, { balance, removed }] of state.of('ended_balance')) {
    if (balance !== removed) yield { kind: 'ended_balance', id, field: 'balance', log: balance, database: removed };
  }
}

function quarantinedIn(state: State): string | null {
  const records = [...state.of('quarantined').keys()];
  if (records.length === 0) return null;
  return `its log lacks the events of the records ${records.join(', ')}, which are in the quarantine`;
}

/** Adds up what each log says of the verifications for which keys asked. */
class Verifications {
  readonly #state = new State();
  readonly #sizes = new Map<string, number>();
  isComplete = true;

  /** @param replay after all entries of the log, and before those in the outbox */
  add(organizationId: string, { state, next }: LogReplay): void {
    this.#sizes.set(organizationId, next);
    this.#addFrom(organizationId, state);
  }

  #addFrom(organizationId: string, state: State): void {
    const group = groupOf(shardOf(organizationId));
    for (const [id, { count, last_at: lastAt }] of state.of('verifications')) {
      const place = `${id} ${group}`;
      const known = this.#state.get('verifications', place);
      const sum = ((known?.['count'] as number | undefined) ?? 0) + (count as number);
      const last = known && (known['last_at'] as string) > (lastAt as string) ? known['last_at'] : lastAt;
      this.#state.put('verifications', place, { count: sum, last_at: last });
    }
  }

  /** Adds what the logs got since they were read, and compares. */
  async compare(client: pg.ClientBase): Promise<Replayed> {
    try {
      if (!this.isComplete)
        throw new NotReplayable('verifications follow from all audit logs, and one was not replayed');
      return await inSnapshot(client, async () => {
        const events = await this.#readOn(client);
        const compared = await compare(client, this.#state, [OF_ALL], []);
        return { organizationId: null, events, ...compared, gap: null };
      });
    } catch (error) {
      return notReplayed(null, 0, error);
    }
  }

  /** @returns the number of events */
  async #readOn(client: Client): Promise<number> {
    const { rows } = await client.query<{ id: string; size: number }>(
      'SELECT organization_id AS id, size::float8 AS size FROM audit_log ORDER BY 1',
    );
    let events = 0;
    for (const { id, size } of rows) {
      const organizationId = fromUuid('org', id);
      const replay = new LogReplay(client, organizationId);
      replay.next = this.#sizes.get(organizationId) ?? 0;
      await replay.readTo(size);
      events += replay.events;
      this.#addFrom(organizationId, replay.state);
    }
    return events;
  }
}
