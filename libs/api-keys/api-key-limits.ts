import type { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { toUuid } from '#libs/contract/ids.js';
import { Config } from '#libs/platform/config.js';
import { DomainError } from '#libs/platform/errors.js';

/** How many keys an organization and a project may have that are not revoked. */
@Injectable()
export class ApiKeyLimits {
  constructor(private readonly config: Config) {}

  /**
   * Within the transaction that created a key, after the row was inserted: it then holds the count of the organization until
   * it commits, so that of two transactions which create the last key at once the second one counts the first one's.
   * @param adding how many keys are still to be inserted: asked beforehand, it refuses what the transaction would refuse
   * @throws DomainError `limit_reached`
   */
  async refuseTooMany(em: EntityManager, organizationId: string, projectId: string | null, adding = 0): Promise<void> {
    const { MAX_KEYS_PER_ORGANIZATION: most, MAX_KEYS_PER_PROJECT: mostOfProject } = this.config.settings;
    const [keys] = await em.execute<{ organization: number | null; project: number }[]>(
      `SELECT (SELECT keys FROM api_key_count
               WHERE organization_id = ?::uuid AND accountable_user_id IS NULL AND project_id IS NULL) AS organization,
              (SELECT coalesce(sum(keys), 0)::int FROM api_key_count WHERE project_id = ?::uuid) AS project`,
      [toUuid(organizationId), projectId && toUuid(projectId)],
    );
    if ((keys!.organization ?? 0) + adding > most) throw tooMany('organization', most);
    if (keys!.project + adding > mostOfProject) throw tooMany('project', mostOfProject);
  }
}

function tooMany(place: 'organization' | 'project', most: number): DomainError {
  return new DomainError(
    'limit_reached',
    `The ${place} has ${most.toLocaleString('en')} API keys, and may not have more. Revoke or delete keys that are no ` +
      `longer needed, expired ones included; the people who run this deployment set the limit ` +
      `(MAX_KEYS_PER_${place.toUpperCase()}).`,
  );
}
