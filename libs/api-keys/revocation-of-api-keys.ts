import { Injectable } from '@nestjs/common';
import type { EventActor } from '#libs/contract/events.js';
import { newId, toUuid } from '#libs/contract/ids.js';
import { ApiKeyRevocation, type Dependents, type MassRevocation } from '#libs/organizations/api-key-revocation.js';
import type { Change } from '#libs/admission/changes.js';
import { PersonalData } from '#libs/platform/personal-data.js';

/**
 * Revokes many keys with one row of `api_key_revocation`. From its commit on, all of these keys are revoked. In the
 * worker, {@link RevocationFanOut} then updates the row of each key.
 */
@Injectable()
export class RevocationOfApiKeys extends ApiKeyRevocation {
  constructor(private readonly personalData: PersonalData) {
    super();
  }

  async count({ em }: Change, of: Dependents): Promise<number> {
    const { subject, column } = targetOf(of);
    const [row] = await em.execute<{ keys: number }[]>(
      `SELECT coalesce(sum(keys), 0)::int AS keys FROM api_key_count WHERE organization_id = ?::uuid AND ${column} = ?::uuid`,
      [toUuid(of.organizationId), subject],
    );
    return row!.keys;
  }

  async revoke(change: Change, of: Dependents, actor: EventActor, now: Date): Promise<MassRevocation> {
    const id = newId('revocation', now);
    const isAny = await this.#insert(change, of, actor, id, now);
    const revoked = await this.#subtractFromCounts(change, of);
    return { revoked_api_keys: revoked, ...(isAny && { revocation_id: id }) };
  }

  /** @returns whether the mass revocation covers any key */
  async #insert({ em, origin }: Change, of: Dependents, actor: EventActor, id: string, now: Date): Promise<boolean> {
    const { kind, subject, column } = targetOf(of);
    const { ip, user_agent: userAgent } = this.personalData.origin(origin);
    // The state of the shard is locked, so no key of the organization is being created and the highest number is final.
    const rows = await em.execute<unknown[]>(
      `INSERT INTO api_key_revocation
         (id, organization_id, kind, subject, last_number, revoked_at, seq, actor, ip, user_agent, request_id)
       SELECT ?::uuid, k.organization_id, ?, k.${column}, k.number, ?::timestamptz, a.seq, ?::jsonb, ?, ?, ?
       FROM (
         SELECT organization_id, ${column}, number FROM api_key
         WHERE organization_id = ?::uuid AND ${column} = ?::uuid ORDER BY number DESC LIMIT 1
       ) k JOIN organization o ON o.id = k.organization_id JOIN authz_state a ON a.shard = o.shard
       RETURNING 1`,
      [
        toUuid(id),
        kind,
        now,
        JSON.stringify(this.personalData.actor(actor)),
        ip,
        userAgent,
        origin.requestId,
        toUuid(of.organizationId),
        subject,
      ],
    );
    return rows.length > 0;
  }

  async #subtractFromCounts({ em }: Change, of: Dependents): Promise<number> {
    const { subject, column } = targetOf(of);
    const [row] = await em.execute<{ keys: number }[]>(
      `WITH gone AS (
         DELETE FROM api_key_count WHERE organization_id = ?::uuid AND ${column} = ?::uuid RETURNING keys
       ), total AS (SELECT coalesce(sum(keys), 0)::int AS keys FROM gone), taken AS (
         UPDATE api_key_count c SET keys = greatest(c.keys - total.keys, 0) FROM total
         WHERE c.organization_id = ?::uuid AND c.accountable_user_id IS NULL AND total.keys > 0
       )
       SELECT keys FROM total`,
      [toUuid(of.organizationId), subject, toUuid(of.organizationId)],
    );
    return row!.keys;
  }
}

function targetOf(of: Dependents) {
  return 'projectId' in of
    ? ({ kind: 'project', subject: toUuid(of.projectId), column: 'project_id' } as const)
    : ({ kind: 'member', subject: toUuid(of.accountableUserId), column: 'accountable_user_id' } as const);
}
