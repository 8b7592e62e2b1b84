import { applyDecorators, createParamDecorator, SetMetadata, UseGuards, type ExecutionContext } from '@nestjs/common';
import { callerOf } from '#libs/verify/express.js';
import { checkRequirement, type Caller as VerifiedCaller, type Requirement } from '#libs/verify/verifier.js';
import { ApiKeyGuard, DECLARATION, type Declaration } from './guards.js';

/**
 * Lets a request to a handler, or to all handlers of a controller, pass if its key has the scopes. The same call records
 * the use. A handler's own `@ApiKey()` or `@NoApiKey()` replaces that of its controller.
 *
 * @throws TypeError if the requirement is not understood
 */
export function ApiKey(requirement: Requirement): ClassDecorator & MethodDecorator {
  checkRequirement(requirement);
  return applyDecorators(declare(requirement), UseGuards(ApiKeyGuard));
}

/** Lets every request to a handler, or to all handlers of a controller, pass without a key. */
export function NoApiKey(): ClassDecorator & MethodDecorator {
  return declare('no key');
}

/** The key of the request: its organization, project, scopes, `external_id` and metadata. */
export type Caller = VerifiedCaller;

/** Injects the key of the request into a handler with `@ApiKey()`. In any other handler it throws. */
export const Caller: () => ParameterDecorator = createParamDecorator((_: unknown, context: ExecutionContext) =>
  callerOf(context.switchToHttp().getRequest<object>()),
);

/** Of two declarations at one place, one would be without effect: which one is easily mistaken. */
function declare(declaration: Declaration): ClassDecorator & MethodDecorator {
  const set = SetMetadata(DECLARATION, declaration);
  return (target: object, key?: string | symbol, descriptor?: PropertyDescriptor) => {
    const declaring = (descriptor?.value ?? target) as object;
    if (Reflect.hasOwnMetadata(DECLARATION, declaring)) {
      throw new TypeError(`${String(key ?? (target as Function).name)} has @ApiKey() or @NoApiKey() twice.`);
    }
    if (key === undefined) set(target as Function);
    else set(target, key, descriptor!);
  };
}
