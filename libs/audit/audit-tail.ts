import { Readable } from 'node:stream';
import type { EventEnvelope } from '#libs/contract/events.js';
import type { Authority } from '#libs/organizations/authority.js';
import { columnsOf, type AuditColumns } from './audit-columns.js';
import { matcherOf } from './audit-filter.js';
import { type AuditSearch } from './audit-reader.js';
import { eventOf, lineOf, type Leaf } from './leaf.js';

/** Maximum of unread data for a reader. A slower reader is cut off and can resume where it stopped. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024;

/** A new leaf, prepared once for all listeners. */
export interface News {
  readonly index: number;
  readonly event: EventEnvelope;
  readonly columns: AuditColumns;
  readonly message: string;
}

export function newsOf(leaf: Leaf): News {
  const { event } = eventOf(leaf);
  return { index: leaf.index, event, columns: columnsOf(event), message: messageOf(leaf) };
}

/** A server-sent event. */
function messageOf(leaf: Leaf): string {
  return `id: ${leaf.index}\nevent: audit\ndata: ${lineOf(leaf)}\n\n`;
}

/** One listener: its stream, and its position in the log. */
export class Tail extends Readable {
  /** Called when the reader has taken the waiting data. */
  #onDrain: (() => void) | undefined;
  #ended = false;
  readonly #matches: ReturnType<typeof matcherOf>;

  /** @param next the first leaf that the listener has not received */
  constructor(
    readonly authority: Authority<'audit:read'>,
    readonly search: AuditSearch,
    public next: number,
  ) {
    super();
    this.#matches = matcherOf(search.filter);
    this.comment('listening');
  }

  override _read(): void {
    this.#onDrain?.();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#onDrain?.();
    callback(error);
  }

  /** Sends a leaf from the database. */
  async sendLeaf(leaf: Leaf): Promise<void> {
    this.#send(messageOf(leaf));
    this.next = leaf.index + 1;
    await this.#drained();
  }

  /** Receives a new range of the log, and sends the matching leaves that were not sent before. */
  hear(news: readonly News[]): void {
    const wanted = news.filter(({ index, event, columns }) => index >= this.next && this.#matches(event, columns));
    this.#send(wanted.map(({ message }) => message).join(''));
    this.next = Math.max(this.next, news.at(-1)!.index + 1);
  }

  /**
   * Keeps an idle connection open. The id without data tells a resuming reader how far the log has no matching leaf.
   */
  comment(text: string): void {
    this.#send(`: ${text}\n${this.next > 0 ? `id: ${this.next - 1}\n` : ''}\n`);
  }

  /** Ends the stream in order. Destroys it if unread data would delay the end. */
  end(): void {
    this.#ended = true;
    if (this.readableLength > 0) this.destroy();
    else this.push(null);
  }

  #send(text: string): void {
    if (text === '' || this.#ended || this.destroyed) return;
    this.push(text);
    if (this.readableLength > MAX_WAITING_BYTES) this.destroy();
  }

  /** Resolves when the reader has taken the waiting data, or has gone. */
  async #drained(): Promise<void> {
    if (this.destroyed || this.readableLength < this.readableHighWaterMark) return;
    await new Promise<void>((resolve) => (this.#onDrain = resolve));
  }
}
