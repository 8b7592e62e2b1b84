import { Controller, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Caller, type Principal, type CallerOf } from '#libs/auth/principal.js';
import {
  createApiKey,
  deleteApiKey,
  disableApiKey,
  enableApiKey,
  getApiKey,
  listApiKeys,
  listScopes,
  listSecrets,
  revokeApiKey,
  rotateApiKey,
  updateApiKey,
  verifyApiKey,
  whoami,
} from '#libs/contract/api-keys.js';
import { listServiceKeys, revokeServiceKey } from '#libs/contract/deployment.js';
import { fromUuid } from '#libs/contract/ids.js';
import { breachesOf, disablesIfUnusedAt } from '#libs/contract/key-policy-rules.js';
import { etagOf } from '#libs/contract/preconditions.js';
import type { RouteInput, RouteOutput } from '#libs/contract/route.js';
import { Clock } from '#libs/platform/clock.js';
import { invalidInput } from '#libs/platform/errors.js';
import { Implements, Input } from '#libs/platform/http/implements.js';
import { Authorized, type AuthorityOf } from '#libs/organizations/authority.js';
import { ApiKeyChanges, type NamedKey } from './api-key-changes.service.js';
import { ApiKeyCreation } from './api-key-creation.service.js';
import type { ApiKeyView, ApiKeyWithToken } from './api-key-view.js';
import { textsOf } from './api-key.js';
import { ApiKeysService } from './api-keys.service.js';
import { isFinal, stateOf, statusOf } from './key-lifecycle.js';
import { newApiKey } from './new-api-key.js';
import { RegisteredScopes } from './registered-scopes.js';
import { ServiceKeys } from './service-keys.service.js';
import { ApiKeyVerifier } from './verification/api-key-verifier.js';
import { counted } from './verification/verification-metrics.js';
import { verificationRequest, verificationResponse } from './verification-call.js';

@Controller()
export class ApiKeysController {
  constructor(
    private readonly clock: Clock,
    private readonly apiKeys: ApiKeysService,
    private readonly creation: ApiKeyCreation,
    private readonly changes: ApiKeyChanges,
    private readonly serviceKeys: ServiceKeys,
    private readonly verifier: ApiKeyVerifier,
    private readonly registered: RegisteredScopes,
  ) {}

  @Implements(createApiKey)
  create(
    @Input() { body }: RouteInput<typeof createApiKey>,
    @Authorized() authority: AuthorityOf<typeof createApiKey>,
  ): Promise<RouteOutput<typeof createApiKey>> {
    const input = newApiKey({ ...body, scopes: body.scopes ?? defaultScopes(authority.caller) });
    return this.creation.create(authority, input, this.#presentWithSecret);
  }

  @Implements(listApiKeys)
  async list(
    @Input() { query }: RouteInput<typeof listApiKeys>,
    @Authorized() authority: AuthorityOf<typeof listApiKeys>,
  ): Promise<RouteOutput<typeof listApiKeys>> {
    const { project_id: projectId, external_id: externalId, unused_for_days: unusedForDays, status, ...rest } = query;
    const { expires_within_days: expiresWithinDays, never_expires: neverExpires, no_rate_limit: noRateLimit } = rest;
    const { breaks_policy: breaksPolicy, disabled_within_days: disabledWithinDays } = rest;
    const { data, total, nextCursor } = await this.apiKeys.list(authority, {
      ...rest,
      expiresWithinDays,
      neverExpires: neverExpires === 'true',
      noRateLimit: noRateLimit === 'true',
      breaksPolicy: breaksPolicy === 'true',
      disabledWithinDays,
      imported: rest.imported === 'true',
      projectId,
      externalId,
      statuses: status && [status],
      environment: query.environment,
      search: query.search,
      unusedForDays,
      cursor: query.cursor,
    });
    return { data: data.map((view) => this.#present(view)), total, next_cursor: nextCursor };
  }

  @Implements(getApiKey)
  async get(
    @Input() { params }: RouteInput<typeof getApiKey>,
    @Authorized() authority: AuthorityOf<typeof getApiKey>,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<RouteOutput<typeof getApiKey>> {
    return this.#presentTagged(reply, await this.apiKeys.get(authority, params.id));
  }

  @Implements(updateApiKey)
  async update(
    @Input() input: RouteInput<typeof updateApiKey>,
    @Authorized() authority: AuthorityOf<typeof updateApiKey>,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<RouteOutput<typeof updateApiKey>> {
    return this.#presentTagged(reply, await this.changes.update(authority, namedIn(input), input.body));
  }

  @Implements(enableApiKey)
  async enable(
    @Input() input: RouteInput<typeof enableApiKey>,
    @Authorized() authority: AuthorityOf<typeof enableApiKey>,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<RouteOutput<typeof enableApiKey>> {
    return this.#presentTagged(reply, await this.changes.enable(authority, namedIn(input)));
  }

  @Implements(disableApiKey)
  async disable(
    @Input() input: RouteInput<typeof disableApiKey>,
    @Authorized() authority: AuthorityOf<typeof disableApiKey>,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<RouteOutput<typeof disableApiKey>> {
    return this.#presentTagged(reply, await this.changes.disable(authority, namedIn(input)));
  }

  @Implements(revokeApiKey)
  async revoke(
    @Input() input: RouteInput<typeof revokeApiKey>,
    @Authorized() authority: AuthorityOf<typeof revokeApiKey>,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<RouteOutput<typeof revokeApiKey>> {
    return this.#presentTagged(reply, await this.changes.revoke(authority, namedIn(input)));
  }

  @Implements(listSecrets)
  async listSecrets(
    @Input() { params }: RouteInput<typeof listSecrets>,
    @Authorized() authority: AuthorityOf<typeof listSecrets>,
  ): Promise<RouteOutput<typeof listSecrets>> {
    const views = await this.apiKeys.listSecrets(authority, params.id);
    return {
      data: views.map(({ secret, lastUsedAt }) => ({
        id: secret.id,
        created_at: secret.createdAt.toISOString(),
        ends_at: secret.endedAt?.toISOString() ?? null,
        last_used_at: lastUsedAt?.toISOString() ?? null,
      })),
      total: views.length,
    };
  }

  @Implements(rotateApiKey)
  rotate(
    @Input() input: RouteInput<typeof rotateApiKey>,
    @Authorized() authority: AuthorityOf<typeof rotateApiKey>,
  ): Promise<RouteOutput<typeof rotateApiKey>> {
    const { grace_period_seconds: graceSeconds } = input.body;
    return this.changes.rotate(authority, namedIn(input), graceSeconds, this.#presentWithSecret);
  }

  @Implements(deleteApiKey)
  delete(
    @Input() input: RouteInput<typeof deleteApiKey>,
    @Authorized() authority: AuthorityOf<typeof deleteApiKey>,
  ): Promise<void> {
    return this.changes.delete(authority, namedIn(input));
  }

  @Implements(listServiceKeys)
  async listServiceKeys(
    @Caller() caller: CallerOf<typeof listServiceKeys>,
  ): Promise<RouteOutput<typeof listServiceKeys>> {
    const views = await this.serviceKeys.list(caller);
    return { data: views.map((view) => this.#present(view)), total: views.length };
  }

  @Implements(revokeServiceKey)
  async revokeServiceKey(
    @Input() { params }: RouteInput<typeof revokeServiceKey>,
    @Caller() caller: CallerOf<typeof revokeServiceKey>,
  ): Promise<RouteOutput<typeof revokeServiceKey>> {
    return this.#present(await this.serviceKeys.revoke(caller, params.id));
  }

  @Implements(verifyApiKey)
  async verify(
    @Input() { body }: RouteInput<typeof verifyApiKey>,
    @Authorized() authority: AuthorityOf<typeof verifyApiKey>,
    @Req() { context }: FastifyRequest,
  ): Promise<RouteOutput<typeof verifyApiKey>> {
    const verification = this.verifier.verify(verificationRequest(body, authority, context.requestId));
    return verificationResponse(await counted('verify', verification), context.requestId, this.clock.now());
  }

  @Implements(listScopes)
  listScopes(): RouteOutput<typeof listScopes> {
    return { data: this.registered.describe() };
  }

  @Implements(whoami)
  whoami(@Caller() caller: CallerOf<typeof whoami>): RouteOutput<typeof whoami> {
    if (caller.type === 'user') {
      const { userId: id, email, name, operator } = caller;
      return { type: 'user', user: { id, email, name, operator } };
    }
    return {
      type: 'api_key',
      api_key: {
        id: caller.apiKeyId,
        organization_id: caller.organizationId,
        project_id: caller.projectId,
        name: caller.name,
        environment: caller.environment,
        credential: caller.secretId ? 'secret' : 'public_key',
        scopes: [...caller.scopes],
        expires_at: caller.expiresAt?.toISOString() ?? null,
      },
    };
  }

  /** Adds the ETag that `If-Match` compares. */
  #presentTagged(reply: FastifyReply, view: ApiKeyView) {
    void reply.header('etag', etagOf(view.apiKey.version));
    return this.#present(view);
  }

  readonly #presentWithSecret = (view: ApiKeyWithToken) => ({ ...this.#present(view), key: view.token });

  #present({ apiKey, usage }: ApiKeyView) {
    const state = stateOf(apiKey, this.clock.now());
    const lastUsedAt = usage?.lastUsedAt ?? null;
    return {
      id: apiKey.id,
      organization_id: apiKey.organizationId,
      project_id: apiKey.projectId ?? null,
      name: apiKey.name,
      ...textsOf(apiKey),
      metadata: apiKey.metadata,
      environment: apiKey.environment,
      public_key: apiKey.publicKey,
      prefix: apiKey.prefix,
      imported: apiKey.imported,
      scopes: apiKey.scopes,
      allowed_domains: apiKey.allowedDomains,
      public_scopes: apiKey.publicScopes ?? null,
      allowed_ips: apiKey.allowedIps,
      rate_limits: apiKey.rateLimits,
      status: statusOf(apiKey, this.clock.now()),
      created_at: apiKey.createdAt.toISOString(),
      created_by: {
        type: apiKey.createdByType,
        id: fromUuid(apiKey.createdByType === 'user' ? 'user' : 'key', apiKey.createdById),
      },
      accountable_user_id: apiKey.accountableUserId,
      updated_at: apiKey.updatedAt.toISOString(),
      expires_at: apiKey.expiresAt?.toISOString() ?? null,
      rotated_at: apiKey.rotatedAt?.toISOString() ?? null,
      revoked_at: apiKey.revokedAt?.toISOString() ?? null,
      leak: apiKey.leak ?? null,
      disables_if_unused_at:
        (state === 'active' && disablesIfUnusedAt(apiKey.keyPolicy, apiKey, lastUsedAt)?.toISOString()) || null,
      policy_breaches: isFinal(state) ? [] : breachesOf(apiKey.keyPolicy, apiKey).map(({ rule }) => rule),
      last_used_at: lastUsedAt?.toISOString() ?? null,
      usage_count: usage?.uses ?? 0,
      verification_count: usage?.verifications ?? 0,
    };
  }
}

function namedIn({ params, headers }: Pick<RouteInput<typeof revokeApiKey>, 'params' | 'headers'>): NamedKey {
  return { id: params.id, ifMatch: headers['if-match'] };
}

/** The scopes of a new key if the request has none. A key that creates keys must name them. */
function defaultScopes(caller: Principal): 'all' {
  if (caller.type === 'user') return 'all';
  throw invalidInput({ location: 'body.scopes', message: 'must be given when a key creates a key' });
}
