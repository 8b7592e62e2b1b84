import { Readable } from 'node:stream';
import type { Principal } from '#libs/auth/principal.js';
import { columnsOf, type AuditColumns } from './audit-columns.js';
import { matches } from './audit-filter.js';
import { eventOf, lineOf, type AuditSearch, type Leaf } from './audit-reader.js';

/** What may wait for a reader. One that is further behind is cut off: it resumes where it stood. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024;

/** A leaf that has just come in, made ready once for all who listen. */
export interface News {
  readonly index: number;
  readonly columns: AuditColumns;
  readonly message: string;
}

export function newsOf(leaf: Leaf): News {
  return { index: leaf.index, columns: columnsOf(eventOf(leaf).event), message: messageOf(leaf) };
}

/** A server-sent event. */
function messageOf(leaf: Leaf): string {
  return `id: ${leaf.index}\nevent: audit\ndata: ${lineOf(leaf)}\n\n`;
}

/** One listener: the stream that it reads, and how far into the log it has been told. */
export class Tail extends Readable {
  /** Called when the reader has taken what waited. */
  #onDrain: (() => void) | undefined;
  #ended = false;

  /** @param next the first leaf that it has not been told of */
  constructor(
    readonly principal: Principal,
    readonly search: AuditSearch,
    public next: number,
  ) {
    super();
    this.comment('listening');
  }

  override _read(): void {
    this.#onDrain?.();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#onDrain?.();
    callback(error);
  }

  /** Sends what the database has found for it. */
  async tell(leaf: Leaf): Promise<void> {
    this.#send(messageOf(leaf));
    this.next = leaf.index + 1;
    await this.#drained();
  }

  /** Takes a stretch of the log as it came in, and sends what is asked for and was not sent before. */
  hear(news: readonly News[]): void {
    const wanted = news.filter(({ index, columns }) => index >= this.next && matches(this.search.filter, columns));
    this.#send(wanted.map(({ message }) => message).join(''));
    this.next = Math.max(this.next, news.at(-1)!.index + 1);
  }

  /**
   * Keeps the connection open where nothing happens. The id without data tells a reader that resumes how far the log holds
   * nothing for it.
   */
  comment(text: string): void {
    this.#send(`: ${text}\n${this.next > 0 ? `id: ${this.next - 1}\n` : ''}\n`);
  }

  /** Ends it in order, unless a reader who does not read would keep it from ending. */
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

  /** Resolves when the reader has taken what waits for it, or has gone. */
  async #drained(): Promise<void> {
    if (this.destroyed || this.readableLength < this.readableHighWaterMark) return;
    await new Promise<void>((resolve) => (this.#onDrain = resolve));
  }
}
