import { toUuid } from '#libs/contract/ids.js';

export const SHARDS = 16;

/**
 * An organization's shard, one of 16: the last four bits of its id, which a UUIDv7 draws at random. Each shard has its
 * authorization state and its inbox; their number is how much of the deployment one change makes look again.
 */
export function shardOf(organizationId: string): number {
  return Number.parseInt(toUuid(organizationId).slice(-1), 16);
}
