import { toUuid } from '#libs/contract/ids.js';

export const SHARDS = 16;

/**
 * An organization's shard, one of 16: the last four bits of its id, which a UUIDv7 draws at random. Each shard has its
 * authorization state and its outbox; their number is how much of the deployment one change makes look again.
 */
export function shardOf(organizationId: string): number {
  return Number.parseInt(toUuid(organizationId).slice(-1), 16);
}

const GROUPS = 4;

/** Shards are emptied in groups of four, each by one job and in one transaction: bulk for one worker, work for several. */
export function groupOf(shard: number): number {
  return shard % GROUPS;
}

export const SHARD_GROUPS: readonly (readonly number[])[] = Array.from({ length: GROUPS }, (_, group) =>
  Array.from({ length: SHARDS / GROUPS }, (__, index) => group + index * GROUPS),
);
