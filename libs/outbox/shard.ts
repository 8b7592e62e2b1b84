import { toUuid } from '#libs/contract/ids.js';

export const SHARDS = 16;

/**
 * An organization's shard, one of 16: the last four bits of its id, which are random in a UUIDv7. Each shard has its
 * own authorization state and outbox. With 16 shards, a change gives one sixteenth of the organizations a new state.
 */
export function shardOf(organizationId: string): number {
  return Number.parseInt(toUuid(organizationId).slice(-1), 16);
}

const GROUPS = 4;

/** One job and transaction ingests a group of four shards: bulk work for one worker, and work for several workers. */
export function groupOf(shard: number): number {
  return shard % GROUPS;
}

export const SHARD_GROUPS: readonly (readonly number[])[] = Array.from({ length: GROUPS }, (_, group) =>
  Array.from({ length: SHARDS / GROUPS }, (__, index) => group + index * GROUPS),
);
