import { randomBytes } from 'node:crypto';
import { link, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type pg from 'pg';
import { toUuid } from '#libs/contract/ids.js';
import type { Events } from '#libs/outbox/event.js';
import type { Tree } from '#libs/tlog/proofs.js';
import { AnchorFile, syncDirectory, type Anchor } from './anchor-file.js';
import { insertEpoch, lockEpoch } from './epochs.js';
import { recordInEachLog } from './in-each-log.js';

export interface NewEpoch {
  readonly number: number;
  readonly logs: number;
  /** Logs whose last anchored head is known. */
  readonly committed: number;
  /** Where the earlier anchor is now; null if there was none. */
  readonly earlierAnchor: string | null;
}

/**
 * Begins a new epoch: a new anchor, and with it a new key and a new origin of each log. In each log, an entry commits to
 * what was anchored last. Nothing is signed before that entry is in the log. The earlier anchor stays beside the new one.
 */
export async function beginEpoch(client: pg.ClientBase, events: Events, path: string): Promise<NewEpoch> {
  await client.query('BEGIN');
  const current = await lockEpoch(client);
  const earlier = await readAnchor(path);
  const number = Math.max(current?.number ?? 0, earlier?.epoch ?? 0) + 1;
  const known = new Map([...(earlier?.earlier ?? []), ...(earlier?.heads ?? [])]);
  const heads = new Map<string, Tree>();
  const logs = await recordInEachLog(client, events, 'audit_log.epoch_started', (organizationId) => {
    const id = toUuid(organizationId);
    const head = known.get(id);
    if (head) heads.set(id, head);
    return dataOf(number, earlier, head);
  });
  const id = randomBytes(16).toString('hex');
  await insertEpoch(client, number, id);
  const fresh = `${path}.epoch-${number}`;
  await rm(fresh, { force: true });
  await new AnchorFile(fresh).create({ id, epoch: number, sequence: 0, heads: new Map(), earlier: heads });
  const earlierAnchor = await keep(path, `${path}.before-epoch-${number}`);
  await rename(fresh, path);
  await syncDirectory(dirname(path));
  // A crash before the commit leaves an anchor that the database does not know. The next attempt continues from it.
  await client.query('COMMIT');
  return { number, logs, committed: heads.size, earlierAnchor };
}

/** @returns null if there is none that can be read */
async function readAnchor(path: string): Promise<Anchor | null> {
  try {
    return await new AnchorFile(path).read();
  } catch {
    return null;
  }
}

async function keep(path: string, under: string): Promise<string | null> {
  try {
    // A crash may have left it. Until the new anchor takes its place, the path has the earlier one.
    await rm(under, { force: true });
    await link(path, under);
    return under;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function dataOf(epoch: number, anchor: Anchor | null, head: Tree | undefined) {
  if (!anchor || !head) return { epoch };
  const root = Buffer.from(head.root).toString('base64');
  return { epoch, earlier: { anchor_id: anchor.id, epoch: anchor.epoch, size: head.size, root } };
}
