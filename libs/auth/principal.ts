import { createParamDecorator } from '@nestjs/common';
import type { Environment } from '#libs/contract/api-keys.js';
import type { EventActor, EventVerifier } from '#libs/contract/events.js';
import type { RateLimit } from '#libs/contract/rate-limits.js';
import type { Turn } from '#libs/admission/change-queues.js';
import type { Basis } from '#libs/admission/conditional-event.js';
import type { User } from './user.entity.js';

/** Who is calling. What a user may do depends on the organization; what a key may do came with it. */
export type Principal = UserPrincipal | ApiKeyPrincipal;

export interface UserPrincipal {
  readonly type: 'user';
  readonly userId: string;
  readonly sessionId: string;
  readonly email: string;
  readonly name: string;
  readonly personalOrganizationId: string;
  /** One of the deployment's own staff. */
  readonly operator: boolean;
}

export interface ApiKeyPrincipal {
  readonly type: 'api_key';
  readonly apiKeyId: string;
  /** Which of the key's secrets was shown; null for its public key alone. */
  readonly secretId: string | null;
  readonly organizationId: string;
  /** The one project to which it is limited. */
  readonly projectId: string | null;
  readonly name: string;
  readonly environment: Environment;
  /** What it reaches: its own scopes within the ceiling of its organization. */
  readonly scopes: readonly string[];
  readonly expiresAt: Date | null;
  readonly allowedIps: readonly string[];
  readonly rateLimits: readonly RateLimit[];
  /** The person behind it. */
  readonly accountableUserId: string;
  /** Whether it manages the keys of that person alone. */
  readonly ownKeysOnly: boolean;
  /** On what it was admitted: what is decided for it must still find it so. */
  readonly admittedUnder: Basis;
}

/** The principal that the guard found; only on routes that are not public. */
export const Caller = createParamDecorator(
  (_: unknown, context) => context.switchToHttp().getRequest<{ user: Principal }>().user,
);

/** Who makes a change, with the name at that time. */
export function actorOf(principal: Principal): EventActor {
  return principal.type === 'user'
    ? { type: 'user', ...personOf(principal) }
    : { ...actorIdOf(principal), name: principal.name };
}

/** Who asks for a verification, of which there are too many to repeat a name in each. */
function actorIdOf(principal: Principal): EventActor {
  return principal.type === 'user'
    ? { type: 'user', id: principal.userId }
    : { type: 'api_key', id: principal.apiKeyId };
}

/** As the event of a verification names who asked for it. */
export function verifierOf(principal: Principal): EventVerifier {
  const secretId = principal.type === 'api_key' && principal.secretId;
  return { ...actorIdOf(principal), ...(secretId && { secret_id: secretId }) };
}

/** A user as an event names them. */
export function personOf(user: UserPrincipal | User) {
  return { id: 'userId' in user ? user.userId : user.id, name: user.name, email: user.email };
}

/**
 * How a change waits: by person, for how many organizations somebody has is theirs to choose. Those of all keys that a person
 * stands behind wait together, and behind none that the person makes.
 */
export function turnOf(principal: Principal): Turn & { readonly flow: string } {
  return { flow: principal.type === 'user' ? principal.userId : `keys of ${principal.accountableUserId}` };
}

/**
 * How a change waits that takes authority away: by session, so that neither somebody else's flood nor that of a leaked key or
 * a stolen session keeps a person from ending it.
 */
export function turnToTakeAway(principal: Principal): Turn {
  return { flow: principal.type === 'user' ? principal.sessionId : turnOf(principal).flow, takesAway: true };
}

/** The organization that is meant when none is named. */
export function homeOrganization(principal: Principal): string {
  return principal.type === 'user' ? principal.personalOrganizationId : principal.organizationId;
}
