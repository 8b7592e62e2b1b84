import { Readable } from 'node:stream';
import { Injectable, Logger } from '@nestjs/common';
import type { AuditEvent } from '#libs/contract/audit.js';
import { ApiKeyOwners } from '#libs/organizations/api-key-owners.js';
import type { Authority } from '#libs/organizations/authority.js';
import { noSuchApiKey } from '#libs/organizations/missing.js';
import { includesKey } from '#libs/organizations/rights.js';
import { errorText } from '#libs/platform/error-text.js';
import { invalidInput } from '#libs/platform/errors.js';
import { OpenStreams } from '#libs/platform/http/open-streams.js';
import { writers, type ExportFormat } from './audit-export.js';
import type { StoredFilter } from './audit-filter.js';
import { pageOfLog } from './audit-page.js';
import { AuditReader, SEARCH_MS, type AuditSearch } from './audit-reader.js';
import { pruned } from './damage.js';
import { EventCounts } from './event-counts.js';
import { eventOf, type Leaf } from './leaf.js';
import { inPieces } from './pieces.js';
import { endOf, type Order } from './span.js';
import type { Stretch } from './bundle-reader.js';
import { Tail } from './audit-tail.js';
import { AuditTails } from './audit-tails.js';

interface PageQuery {
  readonly limit: number;
  readonly order: Order;
  readonly cursor?: string | undefined;
  /** Leaf indexes between which the page is. */
  readonly after_index?: number | undefined;
  readonly before_index?: number | undefined;
}

const EXPORT_PAGE = 500;
/** Management events that one statement reads to count them. */
const COUNTED_ROWS = 500;

/** Reads the audit log for the API. Positions are leaf indexes, so a reader never skips an event that arrives late. */
@Injectable()
export class AuditService {
  readonly #logger = new Logger(AuditService.name);

  constructor(
    private readonly reader: AuditReader,
    private readonly tails: AuditTails,
    private readonly streams: OpenStreams,
    private readonly apiKeys: ApiKeyOwners,
  ) {}

  list(authority: Authority<'audit:read'>, filter: StoredFilter, paging: PageQuery) {
    return this.#page(within(authority, filter), paging);
  }

  /**
   * The events about one key, for those who manage it.
   * @throws DomainError `not_found`, also for a key that the caller does not manage
   */
  async listOfApiKey(
    authority: Authority<'api-keys:manage'>,
    keyId: string,
    filter: Omit<StoredFilter, 'keyId'>,
    paging: PageQuery,
  ) {
    const owner = await this.apiKeys.ownerOf(keyId);
    const isCovered = owner?.organizationId === authority.organizationId && includesKey(authority.rights, owner);
    if (!isCovered) throw noSuchApiKey();
    return this.#page({ organizationId: authority.organizationId, filter: { ...filter, keyId } }, paging);
  }

  /** Counts the events by type, from the newest on, until {@link SEARCH_MS} are over. */
  async summarize(authority: Authority<'audit:read'>, filter: StoredFilter, cursor: string | undefined) {
    const began = performance.now();
    const search = within(authority, filter);
    const { from, below } = await this.reader.extent(search.organizationId);
    const page = pageOfLog({ limit: 1, order: 'desc', cursor }, below, from);
    const counts = new EventCounts();
    let reached: number | null = null;
    for await (const stretch of this.reader.stretches(search, page.span, page.order, COUNTED_ROWS)) {
      for await (const piece of inPieces(stretch.leaves, bytesOf)) for (const leaf of piece) counts.add(eventOf(leaf));
      const end = endOf(stretch, page.order);
      if (end === endOf(page.span, page.order) || performance.now() - began < SEARCH_MS) continue;
      reached = end;
      break;
    }
    const { nextCursor: next_cursor, scannedTo: scanned_to } = page.present([], reached);
    return { ...counts.present(), next_cursor, scanned_to, pruned_below: from > 0 ? from : null };
  }

  async #page(search: AuditSearch, paging: PageQuery) {
    const { from, below } = await this.reader.extent(search.organizationId);
    const { after_index: after = -1, before_index: before = below } = paging;
    const page = pageOfLog(paging, Math.min(below, before), Math.max(from, after + 1));
    const { found, reached } = await this.reader.find(search, page, paging.limit + 1);
    const { leaves, ...rest } = page.present(found, reached);
    const data: AuditEvent[] = [];
    for await (const piece of inPieces(leaves, bytesOf)) data.push(...piece.map(eventOf));
    return { data, ...rest, prunedBelow: from > 0 ? from : null };
  }

  /** Ends at the size of the log when the call arrived: a log that grows faster than it is read would have no end. */
  async export(authority: Authority<'audit:read'>, filter: StoredFilter, format: ExportFormat) {
    const search = within(authority, filter);
    const span = await this.reader.extent(search.organizationId);
    const pages = this.#logFailure(search, this.reader.pages(search, span, 'asc', EXPORT_PAGE));
    // An error before the first byte becomes a problem response; a later one cuts the connection.
    const first = await pages.next();
    const { header, write } = writers[format];
    const text = async function* () {
      if (header) yield header;
      if (first.done) return;
      yield* textOf(first.value.leaves, write);
      for await (const { leaves } of pages) yield* textOf(leaves, write);
    };
    return this.streams.keep(Readable.from(text(), { objectMode: false }));
  }

  /** Once an export has begun, its caller cannot be told why it is cut off. */
  async *#logFailure({ organizationId }: AuditSearch, pages: AsyncGenerator<Stretch>): AsyncGenerator<Stretch> {
    let next = 0;
    try {
      for await (const stretch of pages) {
        yield stretch;
        next = stretch.below;
      }
    } catch (error) {
      if (next > 0) this.#logger.error(`An export of ${organizationId} ended at event ${next}: ${errorText(error)}`);
      throw error;
    }
  }

  async tail(authority: Authority<'audit:read'>, filter: StoredFilter, lastEventId: string | undefined): Promise<Tail> {
    const search = within(authority, filter);
    const { from: minimum, below: size } = await this.reader.extent(search.organizationId);
    const next = lastEventId === undefined ? size : Number(lastEventId) + 1;
    if (next > size) {
      throw invalidInput({
        location: 'headers.last-event-id',
        message: 'must be the id of an earlier event of this audit log',
      });
    }
    // Events that this listener has not received are gone.
    if (next < minimum) throw pruned(search.organizationId, minimum);
    return this.tails.open(new Tail(authority, search, next), size);
  }
}

const bytesOf = ({ entry }: Leaf) => entry.length;

async function* textOf(leaves: readonly Leaf[], write: (leaf: Leaf) => string): AsyncGenerator<string> {
  // An empty text lets the stream notice that its reader has gone.
  if (leaves.length === 0) yield '';
  for await (const piece of inPieces(leaves, bytesOf)) yield piece.map(write).join('');
}

/** A key of a project sees only the events of that project's keys. */
function within({ organizationId, rights }: Authority<'audit:read'>, filter: StoredFilter): AuditSearch {
  const projectIds = [...(rights.projectId ? [rights.projectId] : []), ...(filter.projectIds ?? [])];
  return { organizationId, filter: { ...filter, projectIds: projectIds.length > 0 ? projectIds : undefined } };
}
