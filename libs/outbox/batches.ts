import { z } from 'zod';
import { asEnvelope, type EventEnvelope } from '#libs/contract/events.js';
import { idOf } from '#libs/contract/ids.js';
import {
  instantOf,
  organizationOf,
  packedAlone,
  packUses,
  unpackUses,
  useEvent,
  type PackedUses,
  type UseRecord,
} from '#libs/contract/use-records.js';
import { errorText } from '#libs/platform/error-text.js';
import { decodeEntries, encodeEntries, requireSize } from '#libs/tlog/entries.js';

/**
 * The rows of the outbox. Each contains several events in one of these formats. A format never changes: a new one gets
 * the next number, and a worker leaves rows with numbers that it does not know to newer workers.
 */
const ENTRIES = 1;
const USES = 2;

/** The newest format that this version reads. */
export const NEWEST_FORMAT = USES;

export interface Batch {
  readonly version: number;
  readonly body: Uint8Array;
}

/** An event from the outbox: the stored bytes and the envelope parsed from them. */
export interface ReceivedEvent {
  readonly entry: Uint8Array;
  readonly envelope: EventEnvelope;
  /** The time of the event in milliseconds since 1970. */
  readonly at: number;
}

/** One event in a batch, or a whole batch that cannot be read. */
export interface StoredRecord {
  /** @throws UnreadableRecord */
  read(): ReceivedEvent;
  /** As a batch of its own. */
  alone(): Batch;
  /** The number of its events; null for a batch that cannot be read. */
  readonly events: number | null;
  /** The organization that it names, as far as that can be read. */
  organizationId(): string | null;
}

export class UnreadableRecord extends Error {
  override readonly name = 'UnreadableRecord';
}

/** A batch of events whose entries are already encoded. Their format is that of an entry bundle in C2SP `tlog-tiles`. */
export function batchOfEntries(texts: readonly string[]): Batch {
  // The result is that of `encodeEntries` of tlog, without a copy of each entry.
  const lengths = texts.map((text) => Buffer.byteLength(text));
  const body = Buffer.allocUnsafe(lengths.reduce((sum, length) => sum + 2 + length, 0));
  let offset = 0;
  for (const [index, text] of texts.entries()) {
    const length = lengths[index]!;
    requireSize(length);
    offset = body.writeUInt16BE(length, offset);
    offset += body.write(text, offset);
  }
  return { version: ENTRIES, body };
}

/** A batch of uses. `source` is the URL of the deployment. */
export function batchOfUses(source: string, uses: readonly UseRecord[]): Batch {
  return { version: USES, body: Buffer.from(packUses(source, uses)) };
}

/** The records of a batch, in order. */
export function recordsOf(batch: Batch): StoredRecord[] {
  try {
    return batch.version === USES ? usesOf(batch) : entriesOf(batch);
  } catch (error) {
    return [{ read: () => fail(error), alone: () => batch, events: null, organizationId: () => null }];
  }
}

function entriesOf({ body }: Batch): StoredRecord[] {
  return decodeEntries(body).map((entry) => new StoredEntry(entry));
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

class StoredEntry implements StoredRecord {
  readonly events = 1;

  constructor(private readonly entry: Uint8Array) {}

  read(): ReceivedEvent {
    try {
      const envelope = asEnvelope(this.#parsed());
      return { entry: this.entry, envelope, at: Date.parse(envelope.time) };
    } catch (error) {
      return fail(error);
    }
  }

  alone(): Batch {
    return { version: ENTRIES, body: encodeEntries([this.entry]) };
  }

  organizationId(): string | null {
    try {
      return Owned.parse(this.#parsed()).data.organization_id;
    } catch {
      return null;
    }
  }

  #parsed(): unknown {
    return JSON.parse(utf8.decode(this.entry));
  }
}

const Owned = z.object({ data: z.object({ organization_id: idOf('org') }) });

function usesOf({ body }: Batch): StoredRecord[] {
  const uses = unpackUses(utf8.decode(body));
  return uses.rows.map((_, n) => new StoredUse(uses, n));
}

class StoredUse implements StoredRecord {
  readonly events = 1;

  constructor(
    private readonly uses: PackedUses,
    private readonly n: number,
  ) {}

  read(): ReceivedEvent {
    try {
      const envelope = useEvent(this.uses, this.n);
      const entry = Buffer.from(JSON.stringify(envelope));
      requireSize(entry.length);
      return { entry, envelope, at: instantOf(this.uses, this.n) };
    } catch (error) {
      return fail(error);
    }
  }

  alone(): Batch {
    return { version: USES, body: Buffer.from(packedAlone(this.uses, this.n)) };
  }

  organizationId(): string | null {
    return organizationOf(this.uses, this.n);
  }
}

function fail(error: unknown): never {
  throw new UnreadableRecord(errorText(error));
}
