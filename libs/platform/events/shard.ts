import { toUuid } from '#libs/contract/ids.js';

/** The number of authorization states, and of inboxes: how much of the deployment one change makes look again. */
export const SHARDS = 16;

/** An organization's shard: the last four bits of its id, which a UUIDv7 draws at random. */
export function shardOf(organizationId: string): number {
  return Number.parseInt(toUuid(organizationId).slice(-1), 16);
}
