import { createParamDecorator } from '@nestjs/common';
import type { Environment } from '#libs/contract/api-keys.js';
import type { EventActor } from '#libs/contract/events.js';

/** Who is calling. What a user may do depends on the organization; what a key may do came with it. */
export type Principal = UserPrincipal | ApiKeyPrincipal;

export interface UserPrincipal {
  readonly type: 'user';
  readonly userId: string;
  readonly sessionId: string;
  readonly email: string;
  readonly name: string;
  readonly personalOrganizationId: string;
}

export interface ApiKeyPrincipal {
  readonly type: 'api_key';
  readonly apiKeyId: string;
  readonly organizationId: string;
  readonly name: string;
  readonly environment: Environment;
  readonly scopes: readonly string[];
  readonly expiresAt: Date | null;
}

/** The principal that the guard found; only on routes that are not public. */
export const Caller = createParamDecorator(
  (_: unknown, context) => context.switchToHttp().getRequest<{ user: Principal }>().user,
);

export function actorOf(principal: Principal): EventActor {
  return principal.type === 'user'
    ? { type: 'user', id: principal.userId }
    : { type: 'api_key', id: principal.apiKeyId };
}

/** The organization that is meant when none is named. */
export function homeOrganization(principal: Principal): string {
  return principal.type === 'user' ? principal.personalOrganizationId : principal.organizationId;
}
