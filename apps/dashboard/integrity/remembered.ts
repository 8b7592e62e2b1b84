import { z } from 'zod';
import { toBase64 } from '#libs/tlog/bytes.js';
import { openCheckpoint, type Checkpoint } from '#libs/tlog/checkpoint.js';
import { parseVkey } from '#libs/tlog/note.js';
import { ProofError } from '#libs/tlog/proof-error.js';

/** The result of a verification of the whole log. */
const WholeResult = z.strictObject({
  at: z.iso.datetime(),
  /** The size of the checkpoint. */
  size: z.int().min(0),
  /** Entries below it were pruned: only their hashes were verified. */
  pruned_below: z.int().min(1).optional(),
  /** What is wrong; without it, every entry is as it was signed. */
  fault: z.string().optional(),
  /** The first entry that is wrong, if that can be told. */
  leaf_index: z.int().min(0).optional(),
});
export type WholeResult = z.infer<typeof WholeResult>;

/** A log that does not continue what was verified before. It stays until a person decides. */
const Alarm = z.strictObject({
  at: z.iso.datetime(),
  detail: z.string(),
  /** The key that signs now, if it differs from the remembered one. */
  vkey: z.string().optional(),
  /** What was received instead of a checkpoint that continues the remembered one. */
  checkpoint: z.string(),
});
export type Alarm = z.infer<typeof Alarm>;

/** What this browser remembers of the audit log of an organization. */
const Remembered = z.strictObject({
  /** The last verified checkpoint, as it was signed: evidence, if the log forks. */
  checkpoint: z.string(),
  origin: z.string(),
  size: z.int().min(0),
  root: z.base64(),
  /** The key that signed it. */
  vkey: z.string(),
  verified_at: z.iso.datetime(),
  whole: WholeResult.optional(),
  alarm: Alarm.optional(),
});
export type Remembered = z.infer<typeof Remembered>;

/**
 * @returns null if nothing is remembered
 * @throws ProofError for anything else than this page stores: it must not mean that nothing was remembered
 */
export function parseRemembered(text: string | null): Remembered | null {
  if (text === null) return null;
  try {
    return Remembered.parse(JSON.parse(text));
  } catch {
    throw new ProofError('What this browser remembered of the log cannot be read');
  }
}

/** A checkpoint that was verified, and its key. */
export interface Signed {
  /** The signed note. */
  readonly note: string;
  readonly vkey: string;
  readonly checkpoint: Checkpoint;
}

/** Each checkpoint that was verified replaces the one before. */
export function afterVerification(before: Remembered | null, signed: Signed, at: string): Remembered {
  const { note, vkey, checkpoint } = signed;
  const { origin, size, root } = checkpoint;
  const whole = before?.whole && { whole: before.whole };
  return { checkpoint: note, origin, size, root: toBase64(root), vkey, verified_at: at, ...whole };
}

/**
 * After a person accepted the key that signs now. Nothing was verified against it before.
 * @returns null if no other key signs: what was signed by the same key cannot be accepted
 */
export function afterAcceptance({ alarm }: Remembered, at: string): Remembered | null {
  if (alarm?.vkey === undefined) return null;
  const { checkpoint: note, vkey } = alarm;
  return afterVerification(null, { note, vkey, checkpoint: openCheckpoint(note, [parseVkey(vkey)]) }, at);
}

/** To verify again with what was remembered: a log that forked raises the alarm again. */
export function withoutAlarm({ alarm: _, ...remembered }: Remembered): Remembered {
  return remembered;
}

/** Both signed checkpoints, to show to others. */
export function evidenceOf({ checkpoint, vkey, verified_at: verifiedAt, alarm }: Remembered): string {
  const earlier = `Verified at ${verifiedAt} with the key ${vkey}\n\n${checkpoint}`;
  if (!alarm) return earlier;
  return `${earlier}\nReceived at ${alarm.at} with the key ${alarm.vkey ?? vkey}\n\n${alarm.checkpoint}`;
}
