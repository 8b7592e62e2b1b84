import { join } from 'node:path';
import type { Config } from '#libs/platform/config.js';
import { DomainError } from '#libs/platform/errors.js';
import type { Tree } from '#libs/tlog/proofs.js';
import type { Anchor } from './anchor-file.js';

/** What the database knows of the anchor of the current epoch. */
export interface AnchorRow {
  /** The number of the epoch. */
  readonly number: number;
  readonly anchorId: string;
  readonly sequence: number;
}

const NEW_EPOCH =
  'If what was anchored is lost, `keyledger audit new-epoch` begins a new epoch, which says so in each audit log.';

/** The file with the anchor. */
export function anchorPath({ settings }: Config): string {
  return settings.ANCHOR_FILE ?? join(settings.DATA_DIR, 'audit-anchor');
}

/** The error while no checkpoint may be signed. Events are recorded as before. */
export function checkpointUnavailable(detail: string, cause?: unknown): DomainError {
  return new DomainError('checkpoint_unavailable', detail, { cause });
}

/**
 * Compares the anchor with the database. A group is written to the file first, and then counted in the database, so a
 * crash between both leaves the file one group ahead. Nothing was signed then.
 * @param row null if the database has no epoch yet
 * @returns why nothing may be signed, and the way out; null if all is well
 */
export function anchorFault(row: AnchorRow | null, file: Anchor | null, path: string): string | null {
  if (!row) {
    if (!file || file.sequence === 0) return null;
    return `The database has never signed a checkpoint, but the anchor ${path} has: the database was restored from a backup, or the anchor belongs to another deployment. Restore the right one. ${NEW_EPOCH}`;
  }
  if (!file) {
    return `The anchor ${path} is missing: mount the volume that has it, or set ANCHOR_FILE. ${NEW_EPOCH}`;
  }
  if (file.id !== row.anchorId || file.epoch !== row.number) {
    return `The anchor ${path} belongs to another deployment or epoch: mount the right volume, or set ANCHOR_FILE. ${NEW_EPOCH}`;
  }
  if (file.sequence > row.sequence + 1) {
    return `The anchor ${path} is ahead of the database, which was restored from a backup or failed over to a server that lags: restore the newest database. ${NEW_EPOCH}`;
  }
  if (file.sequence < row.sequence) {
    return `The anchor ${path} is behind the database: it is an old copy, or damaged. Restore the newest one. ${NEW_EPOCH}`;
  }
  return null;
}

export function unusableAnchor(path: string, reason: string): string {
  return `The anchor ${path} cannot be used (${reason}): give the API the right to read and write it and its folder, restore it if it is damaged, or set ANCHOR_FILE. ${NEW_EPOCH}`;
}

/** The same for one log, if its head is behind the anchored one. */
export function behindAnchor(anchored: Tree, size: number): string {
  return `The audit log had ${anchored.size} entries when it was anchored, and now has ${size}: the database was restored from a backup or failed over to a server that lags. Restore the newest database. ${NEW_EPOCH}`;
}

/** The same for one log, if its head does not continue the anchored one. */
export function forkOfAnchor(anchored: Tree): string {
  return `The audit log does not continue the ${anchored.size} entries that were anchored: it was changed, or the database was restored from a backup. Restore the newest database. ${NEW_EPOCH}`;
}

export function epochEntryMissing(epoch: number): string {
  return `The entry with which epoch ${epoch} begins is not in the audit log yet: try again in a moment.`;
}
