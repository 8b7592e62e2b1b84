import { Controller } from '@nestjs/common';
import { Caller, type Principal } from '#libs/auth/principal.js';
import type { RouteInput, RouteOutput } from '#libs/contract/route.js';
import { Implements, Input } from '#libs/platform/http/implements.js';
import { ApiKeysService, type ApiKeyView } from '../api-keys.service.js';
import { createKey, listKeys, revokeKey } from './commandagi.routes.js';

@Controller()
export class CommandAgiController {
  constructor(private readonly apiKeys: ApiKeysService) {}

  @Implements(createKey)
  async create(
    @Input() { body }: RouteInput<typeof createKey>,
    @Caller() caller: Principal,
  ): Promise<RouteOutput<typeof createKey>> {
    const { apiKey, token } = await this.apiKeys.create(caller, {
      name: body.name,
      projectId: body.projectId,
      expiresInDays: body.expiresInDays,
      scopes: 'all',
      // A key can create keys of its own environment only.
      environment: caller.type === 'user' ? 'live' : caller.environment,
      prefix: 'cagi',
    });
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

  @Implements(listKeys)
  async list(
    @Input() { query }: RouteInput<typeof listKeys>,
    @Caller() caller: Principal,
  ): Promise<RouteOutput<typeof listKeys>> {
    const views = await this.apiKeys.listAll(caller, {
      projectId: query.projectId,
      statuses: ['active'],
      sort: '-created_at',
    });
    return { keys: views.map(present) };
  }

  @Implements(revokeKey)
  async revoke(
    @Input() { query }: RouteInput<typeof revokeKey>,
    @Caller() caller: Principal,
  ): Promise<RouteOutput<typeof revokeKey>> {
    await this.apiKeys.delete(caller, query.id);
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
