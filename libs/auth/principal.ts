import { createParamDecorator } from '@nestjs/common';
import type { Environment } from '#libs/contract/api-key-schemas.js';
import type { EventActor, EventVerifier } from '#libs/contract/events.js';
import type { RateLimit } from '#libs/contract/rate-limits.js';
import type { Route } from '#libs/contract/route.js';
import type { ChangeTurn } from '#libs/admission/changes.js';
import type { Basis } from '#libs/admission/conditional-event.js';
import type { RequestContext } from '#libs/platform/request-context.js';
import type { User } from './user.entity.js';

/** The caller of a request. A user's rights depend on the organization; a key's rights are part of the key. */
export type Principal = UserPrincipal | ApiKeyPrincipal;

export interface UserPrincipal {
  readonly type: 'user';
  readonly userId: string;
  readonly sessionId: string;
  readonly email: string;
  readonly name: string;
  readonly personalOrganizationId: string;
  /** Whether the user is an operator of the deployment. */
  readonly operator: boolean;
  readonly context: RequestContext;
}

/** Only the guard makes one, for routes with the policy `operator`. */
export interface OperatorPrincipal extends UserPrincipal {
  readonly operator: true;
}

export interface ApiKeyPrincipal {
  readonly type: 'api_key';
  readonly apiKeyId: string;
  /** The id of the secret that the caller presented, or null if it presented only the public key. */
  readonly secretId: string | null;
  readonly organizationId: string;
  /** The only project that the key may access, or null for no limit. */
  readonly projectId: string | null;
  readonly name: string;
  readonly environment: Environment;
  /** The key's own scopes, within the ceiling of its organization. */
  readonly scopes: readonly string[];
  readonly expiresAt: Date | null;
  readonly allowedIps: readonly string[];
  readonly rateLimits: readonly RateLimit[];
  /** The user who is accountable for the key. */
  readonly accountableUserId: string;
  /** Whether the key manages only the keys of that user. */
  readonly ownKeysOnly: boolean;
  /** The basis of the key's admission. Later decisions for the key require that it still holds. */
  readonly admittedUnder: Basis;
  readonly context: RequestContext;
}

/** The kind of caller that the guard lets pass to the handler of a route. */
export type CallerOf<R extends Route> = R['policy'] extends 'operator'
  ? OperatorPrincipal
  : R['policy'] extends 'user'
    ? UserPrincipal
    : Principal;

/** The principal that the guard found: the {@link CallerOf} the route. Only for routes that are not public. */
export const Caller = createParamDecorator(
  (_: unknown, context) => context.switchToHttp().getRequest<{ user: Principal }>().user,
);

/** The author of a change, with the current name. */
export function actorOf(principal: Principal): EventActor {
  return principal.type === 'user'
    ? { type: 'user', ...personOf(principal) }
    : { ...actorIdOf(principal), name: principal.name };
}

/** The caller of a verification, without a name: there are too many verifications to repeat it in each. */
function actorIdOf(principal: Principal): EventActor {
  return principal.type === 'user'
    ? { type: 'user', id: principal.userId }
    : { type: 'api_key', id: principal.apiKeyId };
}

/** The caller of a verification, as its event names it. */
export function verifierOf(principal: Principal): EventVerifier {
  const secretId = principal.type === 'api_key' && principal.secretId;
  return { ...actorIdOf(principal), ...(secretId && { secret_id: secretId }) };
}

/** A user, as events name them. */
export function personOf(user: UserPrincipal | User) {
  return { id: 'userId' in user ? user.userId : user.id, name: user.name, email: user.email };
}

/**
 * The queue flow of a change. A flow belongs to a person, not an organization, because each person chooses how many
 * organizations to have. The changes of all keys of an accountable user share one flow, apart from the user's own.
 */
export function turnOf(principal: Principal): ChangeTurn & { readonly flow: string } {
  const flow = principal.type === 'user' ? principal.userId : `keys of ${principal.accountableUserId}`;
  return { flow, origin: principal.context };
}

/** A turn that waits only for changes of its own flow, not for those of an organization. */
export function separateTurn(flow: string, origin: RequestContext): ChangeTurn {
  return { flow, sharedBy: flow, origin };
}

/**
 * The queue flow of a change that takes authority away. It belongs to the session, so that neither a flood of another
 * user nor one of a leaked key or a stolen session can prevent its end. The sessions of a user take turns.
 */
export function turnToTakeAway(principal: Principal): ChangeTurn {
  const turn = turnOf(principal);
  const flow = principal.type === 'user' ? principal.sessionId : turn.flow;
  return { ...turn, flow, sharedBy: turn.flow, takesAway: true };
}

/** The organization of a call that names none. */
export function homeOrganization(principal: Principal): string {
  return principal.type === 'user' ? principal.personalOrganizationId : principal.organizationId;
}
