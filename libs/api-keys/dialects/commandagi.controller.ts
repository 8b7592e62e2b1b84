import { Controller } from '@nestjs/common';
import type { RouteInput, RouteOutput } from '#libs/contract/route.js';
import { Implements, Input } from '#libs/platform/http/implements.js';
import { Authorized, type AuthorityOf } from '#libs/organizations/authority.js';
import { ApiKeyChanges } from '../api-key-changes.service.js';
import { ApiKeyCreation } from '../api-key-creation.service.js';
import type { ApiKeyView, ApiKeyWithToken } from '../api-key-view.js';
import { ApiKeysService } from '../api-keys.service.js';
import { createKey, listKeys, revokeKey } from './commandagi.routes.js';

@Controller()
export class CommandAgiController {
  constructor(
    private readonly apiKeys: ApiKeysService,
    private readonly creation: ApiKeyCreation,
    private readonly changes: ApiKeyChanges,
  ) {}

  @Implements(createKey)
  create(
    @Input() { body }: RouteInput<typeof createKey>,
    @Authorized() authority: AuthorityOf<typeof createKey>,
  ): Promise<RouteOutput<typeof createKey>> {
    const { caller } = authority;
    const input = {
      ...body,
      scopes: 'all',
      // A key can create keys of its own environment only.
      environment: caller.type === 'user' ? 'live' : caller.environment,
      prefix: 'cagi',
    } as const;
    return this.creation.create(authority, input, presentWithToken);
  }

  @Implements(listKeys)
  async list(
    @Input() { query }: RouteInput<typeof listKeys>,
    @Authorized() authority: AuthorityOf<typeof listKeys>,
  ): Promise<RouteOutput<typeof listKeys>> {
    const wanted = { projectId: query.projectId, statuses: ['active'], sort: '-created_at' } as const;
    return { keys: await this.apiKeys.listAll(authority, wanted, present) };
  }

  @Implements(revokeKey)
  async revoke(
    @Input() { query }: RouteInput<typeof revokeKey>,
    @Authorized() authority: AuthorityOf<typeof revokeKey>,
  ): Promise<RouteOutput<typeof revokeKey>> {
    await this.changes.delete(authority, { id: query.id });
    return { success: true };
  }
}

function present({ apiKey, usage }: ApiKeyView) {
  return {
    id: apiKey.id,
    name: apiKey.name,
    prefix: apiKey.prefix,
    projectId: apiKey.projectId ?? null,
    lastUsedAt: usage?.lastUsedAt?.toISOString() ?? null,
    usageCount: usage?.uses ?? 0,
    expiresAt: apiKey.expiresAt?.toISOString() ?? null,
    createdAt: apiKey.createdAt.toISOString(),
  };
}

function presentWithToken({ apiKey, token }: ApiKeyWithToken) {
  return {
    key: token,
    id: apiKey.id,
    name: apiKey.name,
    prefix: apiKey.prefix,
    expiresAt: apiKey.expiresAt?.toISOString() ?? null,
    createdAt: apiKey.createdAt.toISOString(),
    warning: 'Save this key securely - it will not be shown again',
  };
}
