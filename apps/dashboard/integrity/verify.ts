import { parseReceipt, verifyReceipt } from '#libs/tlog/receipt.js';
import { parseVkey } from '#libs/tlog/note.js';
import { areEqual } from '#libs/tlog/bytes.js';
import { ProofError } from '#libs/tlog/proof-error.js';
import { recall, remember } from './browser-memory.js';
import { openContinuing, OtherKey, type Opened } from './continuity.js';
import { logRequests, type LogRequests } from './log-requests.js';
import { afterVerification, type Remembered, type WholeResult } from './remembered.js';

export interface Verified extends Opened {
  /** The time of the verification. */
  readonly at: string;
}

export interface VerifiedEvent extends Verified {
  readonly receipt: string;
}

/** Downloads the latest checkpoint, verifies that it continues the remembered one, and remembers it. */
export function verifyCheckpoint(organizationId: string): Promise<Verified> {
  const log = logRequests(organizationId);
  return inTurn(organizationId, async () => verifyNote(organizationId, log, await log.checkpoint()));
}

/**
 * Downloads the receipt of an event and verifies everything that it says.
 * @param shown the bytes of the event as this page shows it
 */
export function verifyEvent(organizationId: string, index: number, shown: Uint8Array): Promise<VerifiedEvent> {
  const log = logRequests(organizationId);
  return inTurn(organizationId, async () => {
    const receipt = await log.receipt(index);
    const verified = await verifyNote(organizationId, log, parseReceipt(receipt).checkpoint);
    const proven = verifyReceipt(receipt, [parseVkey(verified.vkey)]);
    if (proven.index !== index) throw new ProofError(`The receipt is of the event ${proven.index}, not of ${index}`);
    if (!areEqual(proven.entry, shown))
      throw new ProofError('The event that this page shows is not the one that was signed');
    return { ...verified, receipt };
  });
}

/** Keeps the result of a verification of the whole log. */
export function rememberWhole(organizationId: string, whole: WholeResult): void {
  const remembered = recall(organizationId);
  if (remembered) remember(organizationId, { ...remembered, whole });
}

async function verifyNote(organizationId: string, log: LogRequests, note: string): Promise<Verified> {
  const before = recall(organizationId);
  if (before?.alarm) throw new ProofError(before.alarm.detail);
  const at = new Date().toISOString();
  try {
    const opened = await openContinuing(note, before, log);
    remember(organizationId, afterVerification(before, { note, ...opened }, at));
    return { ...opened, at };
  } catch (error) {
    if (before && error instanceof ProofError) remember(organizationId, raiseAlarm(before, note, error, at));
    throw error;
  }
}

function raiseAlarm(before: Remembered, checkpoint: string, error: ProofError, at: string): Remembered {
  const vkey = error instanceof OtherKey ? { vkey: error.vkey } : {};
  return { ...before, alarm: { at, detail: error.message, checkpoint, ...vkey } };
}

/**
 * One verification of a log at a time, in all tabs: otherwise a checkpoint that was requested earlier, and is smaller,
 * could come after a later one and look as if the end of the log was cut off. Pages without TLS have no locks: there it
 * holds for one tab.
 */
function inTurn<T>(organizationId: string, work: () => Promise<T>): Promise<T> {
  if (isSecureContext) return navigator.locks.request(`keyledger-integrity-${organizationId}`, work);
  const turn = latest.then(work);
  latest = turn.catch(() => undefined);
  return turn;
}

let latest: Promise<unknown> = Promise.resolve();
