import { EntityManager } from '@mikro-orm/postgresql';
import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { homeOrganization, type Principal } from '#libs/auth/principal.js';
import type { AuditEvent } from '#libs/contract/audit.js';
import { EventEnvelope } from '#libs/contract/events.js';
import { toUuid } from '#libs/contract/ids.js';
import { Authorities } from '#libs/organizations/authorities.service.js';
import { DATABASE_POOL } from '#libs/platform/database.js';
import { pageOf, type PageRequest } from '#libs/platform/pages.js';

export interface AuditQuery {
  readonly organizationId: string | undefined;
  readonly type: string | undefined;
  readonly keyId: string | undefined;
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly order: 'asc' | 'desc';
}

/** The API's side: reads the trail. A cursor is a leaf index, so nothing that arrives late is ever passed over. */
@Injectable()
export class AuditService {
  constructor(
    private readonly em: EntityManager,
    private readonly authorities: Authorities,
    @Inject(DATABASE_POOL) private readonly pool: pg.Pool,
  ) {}

  async list(principal: Principal, query: AuditQuery, page: PageRequest) {
    const organizationId = query.organizationId ?? homeOrganization(principal);
    const own = await this.authorities.require(this.em.fork(), principal, 'audit:read', organizationId, 'project');
    const ascending = query.order === 'asc';
    const { rows } = await this.pool.query<{ leaf_index: string; entry: Buffer }>(
      `SELECT leaf_index, entry FROM audit_event
       WHERE organization_id = $1
         AND ($2::text IS NULL OR type = $2)
         AND ($3::uuid IS NULL OR api_key_id = $3)
         AND ($4::timestamptz IS NULL OR time >= $4)
         AND ($5::timestamptz IS NULL OR time < $5)
         AND ($8::uuid IS NULL OR project_id = $8)
         AND ($6::bigint IS NULL OR leaf_index ${ascending ? '>' : '<'} $6)
       ORDER BY leaf_index ${ascending ? 'ASC' : 'DESC'} LIMIT $7`,
      [
        toUuid(organizationId),
        query.type ?? null,
        query.keyId ? toUuid(query.keyId) : null,
        query.from ?? null,
        query.to ?? null,
        page.after ?? null,
        page.limit + 1,
        // A key of a project sees what happened to the keys of that project.
        own.projectId && toUuid(own.projectId),
      ],
    );
    const { items, nextCursor } = pageOf(rows, page, (row) => row.leaf_index);
    return { data: items.map(present), nextCursor };
  }
}

function present(row: { leaf_index: string; entry: Buffer }): AuditEvent {
  return { leaf_index: Number(row.leaf_index), event: EventEnvelope.parse(JSON.parse(row.entry.toString())) };
}
