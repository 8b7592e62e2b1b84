import { setTimeout as sleep } from 'node:timers/promises';
import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable, Logger } from '@nestjs/common';
import { Authorities } from '#libs/organizations/authorities.service.js';
import { errorText } from '#libs/platform/error-text.js';
import { OpenStreams } from '#libs/platform/http/open-streams.js';
import { AuditReader } from './audit-reader.js';
import { newsOf, type Tail } from './audit-tail.js';

const POLL_MS = 300;
const PAGE = 500;

/** The last known end of one organization's log, and the listeners that wait for new leaves. */
interface Watch {
  readonly organizationId: string;
  readonly tails: Set<Tail>;
  /** The index of the first leaf that has not been seen. */
  next: number;
}

/** Follows logs: one query at a time at the end of each log with listeners, whatever their number. */
@Injectable()
export class AuditTails {
  readonly #logger = new Logger(AuditTails.name);
  readonly #watches = new Map<string, Watch>();
  /** Interval of heartbeats on idle connections, and of credential checks on all connections. */
  beatMs = 15_000;

  constructor(
    private readonly em: EntityManager,
    private readonly reader: AuditReader,
    private readonly authorities: Authorities,
    private readonly streams: OpenStreams,
  ) {}

  /** @param size size of the log when the call arrived: the listener first gets the missed leaves below it */
  open(tail: Tail, size: number): Tail {
    const beat = setInterval(() => void this.#beat(tail), this.beatMs);
    tail.once('close', () => clearInterval(beat));
    void this.#follow(tail, size).catch((error: unknown) => this.#cut(tail, error));
    return this.streams.keep(tail);
  }

  async #follow(tail: Tail, size: number): Promise<void> {
    await this.#catchUp(tail, size);
    const { organizationId } = tail.search;
    const watch = this.#watches.get(organizationId) ?? { organizationId, tails: new Set<Tail>(), next: tail.next };
    // The watch has moved on meanwhile: the listener must catch up before it joins, or it would miss leaves.
    if (watch.next > tail.next) return this.#follow(tail, watch.next);
    if (tail.destroyed) return;
    watch.tails.add(tail);
    tail.once('close', () => this.#leave(watch, tail));
    if (!this.#watches.has(organizationId)) {
      this.#watches.set(organizationId, watch);
      void this.#look(watch);
    }
  }

  /** Reads at the pace of the listener. */
  async #catchUp(tail: Tail, below: number): Promise<void> {
    const span = { from: tail.next, below };
    for await (const stretch of this.reader.pages(tail.search, span, 'asc', PAGE)) {
      for (const leaf of stretch.leaves) await tail.sendLeaf(leaf);
      if (tail.destroyed) return;
      // A reader that resumes does not search this range again.
      tail.next = Math.max(tail.next, stretch.below);
    }
    tail.next = Math.max(tail.next, below);
  }

  #leave(watch: Watch, tail: Tail): void {
    watch.tails.delete(tail);
    if (watch.tails.size === 0) this.#watches.delete(watch.organizationId);
  }

  async #look(watch: Watch): Promise<void> {
    while (watch.tails.size > 0) {
      try {
        await this.#lookOnce(watch);
      } catch (error) {
        for (const tail of watch.tails) this.#cut(tail, error);
      }
      await sleep(POLL_MS, undefined, { ref: false });
    }
  }

  async #lookOnce(watch: Watch): Promise<void> {
    const search = { organizationId: watch.organizationId, filter: {} };
    const span = { from: watch.next, below: await this.reader.size(watch.organizationId) };
    for await (const { leaves } of this.reader.pages(search, span, 'asc', PAGE)) {
      if (leaves.length === 0) continue;
      const news = leaves.map(newsOf);
      watch.next = news.at(-1)!.index + 1;
      for (const tail of watch.tails) tail.hear(news);
    }
  }

  /** Without the database the credential cannot be checked, so the stream ends then too. */
  async #beat(tail: Tail): Promise<void> {
    try {
      await this.authorities.requireStill(this.em.fork(), tail.authority);
      tail.comment('heartbeat');
    } catch {
      tail.end();
    }
  }

  #cut(tail: Tail, error: unknown): void {
    this.#logger.warn(`A tail of ${tail.search.organizationId} was cut off: ${errorText(error)}`);
    tail.destroy();
  }
}
