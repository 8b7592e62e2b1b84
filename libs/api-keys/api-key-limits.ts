import type { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { toUuid } from '#libs/contract/ids.js';
import { Config } from '#libs/platform/config.js';
import { DomainError } from '#libs/platform/errors.js';

/** Limits the number of unrevoked keys of an organization and of a project. */
@Injectable()
export class ApiKeyLimits {
  constructor(private readonly config: Config) {}

  /**
   * Call it in the transaction that creates a key, after the insert of its row. That insert locks the organization's
   * count until the commit, so of two transactions that create the last allowed key, the second one counts the key of
   * the first.
   * @param adding how many keys are still to be inserted, for a check before the transaction
   * @throws DomainError `limit_reached`
   */
  async refuseTooMany(em: EntityManager, organizationId: string, projectId: string | null, adding = 0): Promise<void> {
    const { MAX_KEYS_PER_ORGANIZATION: max, MAX_KEYS_PER_PROJECT: projectMax } = this.config.settings;
    const [keys] = await em.execute<{ organization: number | null; project: number }[]>(
      `SELECT (SELECT keys FROM api_key_count
               WHERE organization_id = ?::uuid AND accountable_user_id IS NULL AND project_id IS NULL) AS organization,
              (SELECT coalesce(sum(keys), 0)::int FROM api_key_count WHERE project_id = ?::uuid) AS project`,
      [toUuid(organizationId), projectId && toUuid(projectId)],
    );
    if ((keys!.organization ?? 0) + adding > max) throw tooMany('organization', max);
    if (keys!.project + adding > projectMax) throw tooMany('project', projectMax);
  }
}

function tooMany(place: 'organization' | 'project', max: number): DomainError {
  return new DomainError(
    'limit_reached',
    `The ${place} has ${max.toLocaleString('en')} API keys, and may not have more. Revoke or delete keys that are no ` +
      `longer needed, expired ones included; the people who run this deployment set the limit ` +
      `(MAX_KEYS_PER_${place.toUpperCase()}).`,
  );
}
