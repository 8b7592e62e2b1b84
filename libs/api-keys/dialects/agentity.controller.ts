import { Controller } from '@nestjs/common';
import { Caller, type UserPrincipal } from '#libs/auth/principal.js';
import { SessionsService } from '#libs/auth/sessions.service.js';
import type { RouteInput, RouteOutput } from '#libs/contract/route.js';
import { DomainError } from '#libs/platform/errors.js';
import { Implements, Input } from '#libs/platform/http/implements.js';
import { ApiKeysService, noSuchKey, type ApiKeyView } from '../api-keys.service.js';
import { createKey, deleteKey, listKeys, signIn } from './agentity.routes.js';

@Controller()
export class AgentityController {
  constructor(
    private readonly sessions: SessionsService,
    private readonly apiKeys: ApiKeysService,
  ) {}

  @Implements(signIn)
  async signIn(@Input() { body }: RouteInput<typeof signIn>): Promise<RouteOutput<typeof signIn>> {
    const { access_token: accessToken } = await this.sessions.login(body);
    return { accessToken };
  }

  @Implements(createKey)
  async create(
    @Input() { body }: RouteInput<typeof createKey>,
    @Caller() caller: UserPrincipal,
  ): Promise<RouteOutput<typeof createKey>> {
    const made = await this.apiKeys.create(caller, {
      name: body.nickname,
      uniquelyNamed: true,
      organizationId: caller.personalOrganizationId,
      scopes: 'application',
      environment: 'live',
      prefix: 'agk_live',
    });
    return { ...present(made), key: made.token };
  }

  @Implements(listKeys)
  async list(@Caller() caller: UserPrincipal): Promise<RouteOutput<typeof listKeys>> {
    const views = await this.apiKeys.listAll(caller, {
      organizationId: caller.personalOrganizationId,
      statuses: ['active', 'disabled'],
      sort: 'created_at',
    });
    return { apiKeys: views.map(present) };
  }

  @Implements(deleteKey)
  async delete(
    @Input() { params }: RouteInput<typeof deleteKey>,
    @Caller() caller: UserPrincipal,
  ): Promise<RouteOutput<typeof deleteKey>> {
    const found = await this.apiKeys.findByNumber(params.id);
    if (!found) throw noSuchKey();
    if (found.organizationId !== caller.personalOrganizationId) {
      throw new DomainError('beyond_authority', 'The API key belongs to a different account');
    }
    await this.apiKeys.delete(caller, found.id);
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
