import { Controller, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { SessionsService } from '#libs/auth/sessions.service.js';
import type { RouteInput, RouteOutput } from '#libs/contract/route.js';
import { DomainError } from '#libs/platform/errors.js';
import { Implements, Input } from '#libs/platform/http/implements.js';
import { Authorized, onlyIn, type AuthorityOf } from '#libs/organizations/authority.js';
import { noSuchApiKey } from '#libs/organizations/missing.js';
import { ApiKeyChanges } from '../api-key-changes.service.js';
import { ApiKeyCreation } from '../api-key-creation.service.js';
import type { ApiKeyView } from '../api-key-view.js';
import { ApiKeysService } from '../api-keys.service.js';
import { createKey, deleteKey, listKeys, signIn } from './agentity.routes.js';

@Controller()
export class AgentityController {
  constructor(
    private readonly sessions: SessionsService,
    private readonly apiKeys: ApiKeysService,
    private readonly creation: ApiKeyCreation,
    private readonly changes: ApiKeyChanges,
  ) {}

  @Implements(signIn)
  async signIn(
    @Input() { body }: RouteInput<typeof signIn>,
    @Req() { context }: FastifyRequest,
  ): Promise<RouteOutput<typeof signIn>> {
    const { access_token: accessToken } = await this.sessions.login(context, body);
    return { accessToken };
  }

  @Implements(createKey)
  create(
    @Input() { body }: RouteInput<typeof createKey>,
    @Authorized() authority: AuthorityOf<typeof createKey>,
  ): Promise<RouteOutput<typeof createKey>> {
    const input = {
      name: body.nickname,
      uniquelyNamed: true,
      scopes: 'application',
      environment: 'live',
      prefix: 'agk_live',
    } as const;
    return this.creation.create(authority, input, (made) => ({ ...present(made), key: made.token }));
  }

  @Implements(listKeys)
  async list(@Authorized() authority: AuthorityOf<typeof listKeys>): Promise<RouteOutput<typeof listKeys>> {
    const wanted = { statuses: ['active', 'disabled'], sort: 'created_at' } as const;
    return { apiKeys: await this.apiKeys.listAll(onlyIn(authority), wanted, present) };
  }

  @Implements(deleteKey)
  async delete(
    @Input() { params }: RouteInput<typeof deleteKey>,
    @Authorized() authority: AuthorityOf<typeof deleteKey>,
  ): Promise<RouteOutput<typeof deleteKey>> {
    const found = await this.apiKeys.findByNumber(params.id);
    if (!found) throw noSuchApiKey();
    if (found.organizationId !== authority.organizationId) {
      throw new DomainError('beyond_authority', 'The API key belongs to a different account');
    }
    await this.changes.delete(authority, { id: found.id });
    return { message: 'API key deleted successfully' };
  }
}

function present({ apiKey }: ApiKeyView) {
  return {
    id: Number(apiKey.number),
    nickname: apiKey.name,
    createdAt: apiKey.createdAt.toISOString(),
    updatedAt: apiKey.updatedAt.toISOString(),
  };
}
