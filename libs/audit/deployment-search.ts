import { Inject, Injectable, Logger } from '@nestjs/common';
import type pg from 'pg';
import type { OperatorPrincipal } from '#libs/auth/principal.js';
import { fromUuid, isId, isOwnRequestId, toUuid } from '#libs/contract/ids.js';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import { DATABASE_POOL } from '#libs/database/database.js';
import { OperatorReads } from '#libs/organizations/operator-reads.js';
import { errorText } from '#libs/platform/error-text.js';
import { DomainError, invalidInput } from '#libs/platform/errors.js';
import { isOutOfTurn } from '#libs/platform/fair-queue.js';
import { badCursor } from '#libs/platform/pages.js';
import { PersonalData } from '#libs/platform/personal-data.js';
import { timesOf, type Criteria } from './audit-filter.js';
import { AuditReader, SEARCH_MS, type AuditSearch } from './audit-reader.js';
import { eventOf, type Leaf } from './leaf.js';
import { organizationNames } from './organization-names.js';
import type { Span } from './span.js';
import { sharedTermsOf } from './terms.js';

/** One value that operators look for in all audit logs. */
export type Question = Pick<Criteria, 'ip' | 'keyId' | 'secretId' | 'requestId' | 'verifiedBy'>;

/** An organization whose audit log has a match, and the newest one. Null if the audit log may have one in a damaged part. */
interface Match {
  readonly id: string;
  readonly leaf: Leaf | null;
}

/** Organizations are searched in the order of their ids, each from its newest event: the search goes on here. */
interface Position {
  readonly organizationId: string;
  /** The leaves that were not searched. Zero: none. */
  readonly below: number;
}

/** Selects organizations that may have a match. The parameters are numbered from 3. */
interface Selection {
  /** Common table expressions, if the condition needs any. */
  readonly with?: string;
  readonly sql: string;
  readonly values: readonly unknown[];
}

interface Head {
  readonly id: string;
  readonly minimum: number;
  readonly size: number;
  readonly may_match: boolean;
}

/** Organizations that one statement looks at. */
const ORGANIZATIONS = 1_000;
/** Bundles, or rows, that an index finds at once. If there are more, every organization is searched. */
const MAX_FOUND = 5_000;
/** Management events that one statement reads. */
const ROWS = 20;
const NO_TERMS: readonly number[] = [];

/** Finds the organizations whose audit logs have a value, for operators. */
@Injectable()
export class DeploymentSearch {
  readonly #logger = new Logger(DeploymentSearch.name);
  /** How long the search for a page may take. */
  budgetMs = SEARCH_MS;

  constructor(
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
    private readonly reader: AuditReader,
    private readonly reads: OperatorReads,
    private readonly personalData: PersonalData,
  ) {}

  /** Records the question in the audit log of the deployment before it searches. The search pauses after a while. */
  async find(operator: OperatorPrincipal, question: Question, page: { limit: number; cursor?: string | undefined }) {
    const position = page.cursor === undefined ? FIRST : readCursor(page.cursor);
    if (question.ip && !sharedTermsOf(question)) {
      throw invalidInput({
        location: 'query.ip',
        message: 'must be an address, or a network of at least 24 bits (IPv4) or 48 bits (IPv6)',
      });
    }
    await this.reads.record(operator, DEPLOYMENT_ID, this.#recorded(question));
    const { matches, next, isPaused } = await this.#search(question, position, page.limit);
    const names = await organizationNames(
      this.pool,
      matches.map(({ id }) => id),
    );
    return {
      data: matches.map(({ id, leaf }) => ({
        id,
        name: names.get(id) ?? '',
        leaf_index: leaf && leaf.index,
        time: leaf && eventOf(leaf).event.time,
      })),
      nextCursor: next && writeCursor(next),
      scannedTo: next && isPaused ? next.organizationId : null,
    };
  }

  /** The organizations with a match, for a question that the caller has recorded. */
  async matches(question: Question, limit: number): Promise<{ matches: readonly Match[]; complete: boolean }> {
    const { matches, next } = await this.#search(question, FIRST, limit);
    return { matches, complete: next === null };
  }

  /** The address is a client's. */
  #recorded({ ip, keyId, secretId, requestId, verifiedBy }: Question): Record<string, string | null> {
    if (ip) return { ip: this.personalData.origin({ ip, userAgent: null }).ip };
    const values = { key_id: keyId, secret_id: secretId, request_id: requestId, verified_by: verifiedBy };
    return Object.fromEntries(Object.entries(values).flatMap(([name, value]) => (value ? [[name, value]] : [])));
  }

  async #search(question: Question, from: Position, limit: number) {
    const began = performance.now();
    const leftMs = () => this.budgetMs - (performance.now() - began);
    const matches: Match[] = [];
    for await (const { id, minimum, size, may_match: mayMatch } of this.#heads(selectionOf(question), from)) {
      const organizationId = fromUuid('org', id);
      if (organizationId === from.organizationId && from.below === 0) continue;
      if (mayMatch) {
        const below = organizationId === from.organizationId ? Math.min(from.below, size) : size;
        const search = { organizationId, filter: question, turnOf: DEPLOYMENT_ID };
        const span = { from: minimum, below };
        const { match, reached } = await this.#newest(search, span, Math.max(leftMs(), 1), matches.length > 0);
        if (match) matches.push(match);
        else if (reached !== null) return { matches, next: { organizationId, below: reached }, isPaused: true };
      }
      const isFull = matches.length === limit;
      if (isFull || leftMs() <= 0) return { matches, next: { organizationId, below: 0 }, isPaused: !isFull };
    }
    return { matches, next: null, isPaused: false };
  }

  /** One audit log that cannot be searched, or not now, hides no other. */
  async #newest(search: AuditSearch, span: Span, budgetMs: number, mayPause: boolean) {
    const { organizationId: id } = search;
    const part = { span, order: 'desc' } as const;
    try {
      const { found, reached } = await this.reader.find(search, part, 1, budgetMs, ROWS);
      return { match: found[0] && { id, leaf: found[0] }, reached };
    } catch (error) {
      if (error instanceof DomainError && error.code === 'audit_log_damaged') {
        this.#logger.warn(errorText(error));
        return { match: { id, leaf: null }, reached: null };
      }
      if (mayPause && isOutOfTurn(error)) return { match: undefined, reached: span.below };
      throw error;
    }
  }

  /** Every organization with an audit log, in the order of their ids. */
  async *#heads(selection: Selection, { organizationId }: Position): AsyncGenerator<Head> {
    let next: string | undefined = toUuid(organizationId);
    while (next !== undefined) {
      // One statement: between two, an entry could move from a segment to a bundle, and neither would see it.
      const result: { rows: Head[] } = await this.pool.query<Head>(
        `${selection.with ?? ''}
         SELECT organization_id AS id, minimum_index::float8 AS minimum, size::float8 AS size,
                (${selection.sql}) IS TRUE AS may_match
         FROM (SELECT * FROM audit_log WHERE organization_id >= $1 ORDER BY organization_id LIMIT $2) AS l
         ORDER BY organization_id`,
        [next, ORGANIZATIONS + 1, ...selection.values],
      );
      yield* result.rows.slice(0, ORGANIZATIONS);
      next = result.rows[ORGANIZATIONS]?.id;
    }
  }
}

function selectionOf(question: Question): Selection {
  const { keyId, secretId, requestId } = question;
  if (keyId) return ownerOf('id = $3', keyId);
  if (secretId) return ownerOf('id = (SELECT api_key_id FROM api_key_secret WHERE id = $3)', secretId);
  const terms = sharedTermsOf(question) ?? NO_TERMS;
  if (requestId && isOwnRequestId(requestId)) {
    const { from, to } = timesOf(question);
    // In bundles, only the time finds it.
    return { with: WITH_TERMS, sql: `${IS_FOUND} OR ${HAS_TIME}`, values: [terms, NO_TERMS, from, to] };
  }
  return { with: WITH_TERMS, sql: `${IS_FOUND} OR ${HAS_TERM}`, values: [terms, terms] };
}

/** A key and its secrets belong to one organization, also after they have ended. */
function ownerOf(condition: string, id: string): Selection {
  return { sql: `l.organization_id = (SELECT organization_id FROM api_key WHERE ${condition})`, values: [toUuid(id)] };
}

/** The bundles with the terms, and the rows of management events with them. */
const WITH_TERMS = `WITH bodies AS MATERIALIZED (
  SELECT organization_id FROM audit_body WHERE terms && $4::integer[] LIMIT ${MAX_FOUND}
), events AS MATERIALIZED (
  SELECT organization_id FROM audit_management_event WHERE terms && $3::integer[] LIMIT ${MAX_FOUND}
)`;

/** If there are too many bundles or rows, any organization may be among those that were not found. */
const IS_FOUND = `(SELECT count(*) FROM bodies) = ${MAX_FOUND} OR (SELECT count(*) FROM events) = ${MAX_FOUND}
  OR l.organization_id IN (SELECT organization_id FROM bodies UNION ALL SELECT organization_id FROM events)`;

const HAS_TERM = `EXISTS (
  SELECT FROM audit_segment s WHERE s.organization_id = l.organization_id AND s.terms && $4::integer[])`;

/** The first bundle that reaches the time decides: later ones may have earlier times, but not by more than the lateness. */
const HAS_TIME = `EXISTS (
  SELECT FROM audit_segment s WHERE s.organization_id = l.organization_id AND s.newest >= $5 AND s.oldest < $6
) OR (
  SELECT least(b.oldest, b.latest - l.lateness_ms * interval '1 ms') FROM audit_bundle b
  WHERE b.organization_id = l.organization_id AND b.latest >= $5 ORDER BY b.latest, b.index LIMIT 1
) < $6`;

/** The id of the deployment is the lowest. */
const FIRST: Position = { organizationId: DEPLOYMENT_ID, below: Infinity };

function writeCursor({ organizationId, below }: Position): string {
  return Buffer.from(`${organizationId} ${below}`).toString('base64url');
}

function readCursor(cursor: string): Position {
  const [, organizationId, below] = /^(\w{1,40}) (\d{1,15})$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? [];
  if (!organizationId || !below || !isId('org', organizationId)) throw badCursor();
  return { organizationId, below: Number(below) };
}
