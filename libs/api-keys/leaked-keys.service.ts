import { LockMode } from '@mikro-orm/core';
import { Injectable } from '@nestjs/common';
import { Changes, type Change } from '#libs/admission/changes.js';
import { separateTurn } from '#libs/auth/principal.js';
import type { LeakPolicy } from '#libs/contract/organizations.js';
import { Organization } from '#libs/organizations/organization.entity.js';
import { Clock } from '#libs/platform/clock.js';
import { withoutSecrets } from '#libs/platform/redact.js';
import type { RequestContext } from '#libs/platform/request-context.js';
import { touch } from '#libs/platform/versions.js';
import { enter, requireTransition } from './api-key-transition.js';
import { ApiKey, ApiKeySecret } from './api-key.entity.js';
import { aboutProject } from './api-key.js';
import { hasEnded, operations } from './key-lifecycle.js';
import { LeakedSecrets } from './leaked-secrets.js';

/** A token that was found in a public place. */
export interface Report {
  readonly token: string;
  readonly source: string | null;
  readonly url: string | null;
}

/** Reports of leaked keys: they go to the organizations of the keys, whose policies decide what happens. */
@Injectable()
export class LeakedKeys {
  constructor(
    private readonly clock: Clock,
    private readonly changes: Changes,
    private readonly secrets: LeakedSecrets,
  ) {}

  /**
   * Each organization has its own transaction. If one fails, the caller repeats the report, which changes nothing where
   * it was successful: only the first report of a secret counts. So a stranger with a leaked key cannot fill the log.
   * @returns the tokens that are secrets of this deployment, whether they still work or not
   */
  async report(context: RequestContext, reports: readonly Report[]): Promise<ReadonlySet<string>> {
    const found = await this.secrets.find(reports.map(({ token }) => token));
    const organizations = new Map<string, Map<string, Report>>();
    for (const report of reports) {
      const secret = found.get(report.token);
      if (!secret?.isReportable) continue;
      const bySecret = organizations.get(secret.organizationId) ?? new Map<string, Report>();
      if (!bySecret.has(secret.id)) bySecret.set(secret.id, report);
      organizations.set(secret.organizationId, bySecret);
    }
    for (const [id, bySecret] of organizations) await this.#reportTo(context, id, bySecret);
    return new Set(found.keys());
  }

  /** A change of the organization: every node drops all keys of it from its cache, as for a bulk change. */
  #reportTo(context: RequestContext, organizationId: string, bySecret: ReadonlyMap<string, Report>): Promise<void> {
    const turn = { ...separateTurn(`leaked keys of ${organizationId}`, context), takesAway: true };
    const changed = { kind: 'organization', id: organizationId } as const;
    return this.changes.alter(turn, organizationId, changed, async (change) => {
      const { em } = change;
      const { leakPolicy } = await em.findOneOrFail(Organization, organizationId);
      const unreported = { id: { $in: [...bySecret.keys()] }, leakedAt: null };
      const secrets = await em.find(ApiKeySecret, unreported, { orderBy: { id: 'asc' } });
      const ids = secrets.map(({ apiKeyId }) => apiKeyId);
      const keys = await em.find(
        ApiKey,
        { id: { $in: ids }, deletedAt: null },
        { orderBy: { id: 'asc' }, lockMode: LockMode.PESSIMISTIC_WRITE },
      );
      const byId = new Map(keys.map((apiKey) => [apiKey.id, apiKey]));
      const now = this.clock.now();
      for (const secret of secrets) {
        const apiKey = byId.get(secret.apiKeyId);
        if (apiKey) noteLeak(change, apiKey, secret, bySecret.get(secret.id)!, leakPolicy, now);
      }
    });
  }
}

/** Records the report and, if the secret still works and the policy says so, revokes the key. */
function noteLeak(
  { record }: Change,
  apiKey: ApiKey,
  secret: ApiKeySecret,
  { source, url }: Report,
  policy: LeakPolicy,
  now: Date,
): void {
  const step = requireTransition(apiKey, 'revoke', now);
  const revoked = step.from !== step.to && !hasEnded(secret, now) && revokes(policy, apiKey);
  const leak = { secret_id: secret.id, source: source && withoutSecrets(source), url: url && withoutSecrets(url) };
  const about = { subject: { id: apiKey.id, name: apiKey.name }, at: now } as const;
  secret.leakedAt = now;
  apiKey.leak = { ...leak, at: now.toISOString() };
  touch(apiKey, now);
  record({
    ...about,
    type: 'api_key.leaked',
    actor: { type: 'anonymous', id: null },
    data: { ...aboutProject(apiKey), ...leak, revoked },
  });
  if (!revoked) return;
  const actor = { type: 'system', id: null } as const;
  const data = { ...aboutProject(apiKey), deleted: false, because: 'leaked' } as const;
  enter({ apiKey, now, step, record: (event) => record({ ...event, ...about, actor }) }, operations.revoke.event, data);
}

function revokes(policy: LeakPolicy, { environment }: Pick<ApiKey, 'environment'>): boolean {
  return policy === 'revoke' || (policy === 'revoke_live' && environment === 'live');
}
