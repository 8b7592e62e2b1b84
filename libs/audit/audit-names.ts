import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { isNamedId, NAMED_ID_TYPES, type AuditName, type NamedKind } from '#libs/contract/audit-names.js';
import { calledIn } from '#libs/contract/events.js';
import { fromUuid, isId, toUuid } from '#libs/contract/ids.js';
import { DEPLOYMENT_ID } from '#libs/contract/organizations.js';
import { DATABASE_POOL } from '#libs/database/database.js';
import type { Authority } from '#libs/organizations/authority.js';
import { displayedCharactersOf } from '#libs/api-key-format/search-term.js';
import { beginningWith, containing } from '#libs/platform/patterns.js';
import { AuditReader } from './audit-reader.js';
import { eventOf } from './leaf.js';

/** Events that name a person who left. */
const LEFT = ['member.removed', 'user.operator_removed'];
/** How many former members a search considers: those who left last. */
const MOST_FORMER = 500;
/** Names of each kind that a search finds. */
const MOST_FOUND = 50;

interface Row {
  readonly kind: NamedKind;
  readonly id: string;
  readonly name: string;
  readonly email: string | null;
  readonly gone: boolean;
}

/**
 * The names that readers of an audit log may know: of the organization's keys and projects, the deleted ones included,
 * of its members, and of former members by the event of their removal. Strangers have no name here.
 */
@Injectable()
export class AuditNames {
  constructor(
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
    private readonly reader: AuditReader,
  ) {}

  async ofIds({ organizationId }: Authority<'audit:read'>, ids: readonly string[]): Promise<AuditName[]> {
    const uuids = (kind: NamedKind) => ids.filter((id) => isId(NAMED_ID_TYPES[kind], id)).map(toUuid);
    const { rows } = await this.pool.query<Row>(
      `${select(organizationId)} WHERE id = ANY(CASE kind WHEN 'api_key' THEN $2::uuid[] WHEN 'project' THEN $3 ELSE $4 END)`,
      [toUuid(organizationId), uuids('api_key'), uuids('project'), uuids('user')],
    );
    const found = rows.map(present);
    const known = new Set(found.map(({ id }) => id));
    const unknown = [...new Set(ids)].filter((id) => isId('user', id) && !known.has(id));
    for (const id of unknown) found.push(...(await this.#former(organizationId, { subject: id }, 1)));
    return found;
  }

  async matching(
    { organizationId }: Authority<'audit:read'>,
    text: string | undefined,
    kinds: readonly NamedKind[] = ['api_key', 'project', 'user'],
  ): Promise<AuditName[]> {
    const { rows } = await this.pool.query<Row>(
      `SELECT kind, id, name, email, gone FROM (
         SELECT *, row_number() OVER (PARTITION BY kind ORDER BY gone, lower(name), id) AS place
         FROM (${select(organizationId)}) AS named
         WHERE kind = ANY($2) AND ($3::text IS NULL OR name ILIKE $3 OR email ILIKE $3 OR prefix LIKE $4 OR public_key LIKE $4 OR id = $5
           OR id IN (SELECT api_key_id FROM api_key_secret WHERE left(handle, 6) = $6))
       ) AS found WHERE place <= ${MOST_FOUND} ORDER BY gone, lower(name), id`,
      [
        toUuid(organizationId),
        kinds,
        text === undefined ? null : containing(text),
        text === undefined ? null : beginningWith(text),
        text && isNamedId(text) ? toUuid(text) : null,
        text === undefined ? null : displayedCharactersOf(text),
      ],
    );
    const found = rows.map(present);
    return kinds.includes('user') ? [...found, ...(await this.#formerNamed(organizationId, text, found))] : found;
  }

  /** Former members whose name or address has the text, and who are not members again. */
  async #formerNamed(
    organizationId: string,
    text: string | undefined,
    found: readonly AuditName[],
  ): Promise<AuditName[]> {
    const known = new Set(found.map(({ id }) => id));
    const lower = text?.toLowerCase() ?? '';
    const former = (await this.#former(organizationId, {}, MOST_FORMER)).filter(
      ({ id, name, email }) =>
        !known.has(id) && [id, name, email].some((field) => field?.toLowerCase().includes(lower)),
    );
    // The newest event comes first, and its name counts.
    return [...new Map(former.toReversed().map((person) => [person.id, person])).values()].slice(0, MOST_FOUND);
  }

  async #former(organizationId: string, wanted: { subject?: string }, limit: number): Promise<AuditName[]> {
    const page = { span: await this.reader.extent(organizationId), order: 'desc' } as const;
    const { found } = await this.reader.find({ organizationId, filter: { ...wanted, types: LEFT } }, page, limit);
    return found.flatMap((leaf) => {
      const { event } = eventOf(leaf);
      const { name, email = null } = calledIn(event.data, 'subject');
      return name === undefined ? [] : [{ id: event.subject, kind: 'user' as const, name, email, gone: true }];
    });
  }
}

/** All that has a name in the organization `$1`. The people of the deployment's own log are the operators. */
function select(organizationId: string): string {
  const people =
    organizationId === DEPLOYMENT_ID
      ? 'WHERE operator_since IS NOT NULL AND $1::uuid IS NOT NULL'
      : 'JOIN membership ON user_id = id WHERE organization_id = $1';
  // Two parts for each table, because the present and the deleted rows have an index each.
  const both = (columns: string, table: string) =>
    ['IS NULL', 'IS NOT NULL']
      .map((deleted) => `SELECT ${columns} FROM ${table} WHERE organization_id = $1 AND deleted_at ${deleted}`)
      .join(' UNION ALL ');
  return `SELECT kind, id, name, email, gone, prefix, public_key FROM (
      ${both(`'api_key' AS kind, id, name, NULL AS email, deleted_at IS NOT NULL AS gone, prefix, public_key`, 'api_key')}
      UNION ALL ${both(`'project', id, name, NULL, deleted_at IS NOT NULL, NULL, NULL`, 'project')}
      UNION ALL SELECT 'user', id, name, email, false, NULL, NULL FROM user_account ${people}
    ) AS everything`;
}

function present({ kind, id, name, email, gone }: Row): AuditName {
  return { kind, id: fromUuid(NAMED_ID_TYPES[kind], id), name, email, gone };
}
