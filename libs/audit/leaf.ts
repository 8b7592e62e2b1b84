import type { AuditEvent } from '#libs/contract/audit.js';
import { EventEnvelope } from '#libs/contract/events.js';

/** An entry at its position in the log. */
export interface Leaf {
  readonly index: number;
  readonly entry: Uint8Array;
}

const decoder = new TextDecoder();

/** The entry as one line of text. In JSON, line breaks occur only between tokens, where a space means the same. */
function textOf({ entry }: Leaf): string {
  return decoder.decode(entry).replace(/[\r\n]/g, ' ');
}

/** `{leaf_index, event}` with the exact text of the event: parsing and serializing it might change it. */
export function lineOf(leaf: Leaf): string {
  return `{"leaf_index":${leaf.index},"event":${textOf(leaf)}}`;
}

export function eventOf(leaf: Leaf): AuditEvent {
  return { leaf_index: leaf.index, event: EventEnvelope.parse(JSON.parse(textOf(leaf))) };
}
