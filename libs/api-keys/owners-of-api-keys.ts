import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { fromUuid, toUuid } from '#libs/contract/ids.js';
import { DATABASE_POOL } from '#libs/database/database.js';
import { ApiKeyOwners } from '#libs/organizations/api-key-owners.js';

@Injectable()
export class OwnersOfApiKeys extends ApiKeyOwners {
  constructor(@Inject(DATABASE_POOL) private readonly pool: pg.Pool) {
    super();
  }

  async organizationOf(apiKeyId: string): Promise<string | undefined> {
    const { rows } = await this.pool.query<{ organization_id: string }>(
      'SELECT organization_id FROM api_key WHERE id = $1 AND deleted_at IS NULL',
      [toUuid(apiKeyId)],
    );
    return rows[0] && fromUuid('org', rows[0].organization_id);
  }
}
