import type pg from 'pg';
import type { RecordedState } from '#libs/contract/events.js';
import { BUNDLE_ENTRIES } from '#libs/tlog/entries.js';
import type { Events } from '#libs/outbox/event.js';
import { recordOwnEvents } from '#libs/outbox/own-events.js';
import { readHead, type Client } from './log-entries.js';
import { partsOf } from './recorded-state.js';
import { LogReplay } from './replay.js';

/**
 * What the log of an organization says before a leaf index, in parts that each fit into an event of the type
 * `audit_log.state_recorded`. Reads the entries from the latest recorded state on, and no other table of the organization.
 * Recorded in the log, in this order and with no others between, the parts replace all entries before `below`: these can
 * be pruned then.
 * @param below a multiple of 256, not beyond the size of the log
 * @param recordsNames whether the deployment records names and e-mail addresses of people (`RECORD_ACTOR`)
 * @throws NotReplayable if the log cannot be read up to there
 */
export async function stateAt(
  client: Client,
  organizationId: string,
  below: number,
  recordsNames: boolean,
): Promise<RecordedState[]> {
  const { size, minimumIndex } = await readHead(client, organizationId);
  if (below % BUNDLE_ENTRIES !== 0 || below < minimumIndex || below > size) {
    throw new RangeError(`No bundle of the log begins at leaf ${below}`);
  }
  const replay = new LogReplay(client, organizationId);
  await replay.begin(below);
  await replay.readTo(below);
  return partsOf(replay.state, below, recordsNames);
}

/** Bytes of one batch of the outbox, at about 60 kB for each event. */
const PARTS_TOGETHER = 16;

/**
 * Within a transaction: stores the events of {@link stateAt} in the outbox. The worker ingests them in this order.
 * @returns the number of events
 */
export async function recordState(
  client: pg.ClientBase,
  events: Events,
  organizationId: string,
  parts: readonly RecordedState[],
): Promise<number> {
  for (let n = 0; n < parts.length; n += PARTS_TOGETHER) {
    const own = parts
      .slice(n, n + PARTS_TOGETHER)
      .map((data) => ({ type: 'audit_log.state_recorded', subject: organizationId, data }) as const);
    await recordOwnEvents(client, events, organizationId, own);
  }
  return parts.length;
}
