import { ForbiddenException, Inject, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { HttpAdapterHost, Reflector } from '@nestjs/core';
import { verifyRequest } from '#libs/verify/express.js';
import type { Rejection, Requirement, Verifier } from '#libs/verify/verifier.js';
import { ApiKeyRejected } from './rejections.js';

/** Injection token of the `Verifier`: a test of your API may provide another one. */
export const KEYLEDGER_VERIFIER = Symbol('KeyledgerVerifier');
/** Injection token of the option `undeclaredRoutes`. */
export const UNDECLARED_ROUTES = Symbol('UndeclaredRoutes');

/** The metadata of a handler or a controller with `@ApiKey()` or `@NoApiKey()`. */
export const DECLARATION = Symbol('KeyledgerDeclaration');
export type Declaration = Requirement | 'no key';

/** Lets a request pass if Keyledger accepts its key for the requirement of `@ApiKey()`. */
@Injectable()
export class ApiKeyGuard implements CanActivate {
  /** Nest asks twice if a controller and its handler both have `@ApiKey()`, but the use counts once. */
  readonly #accepted = new WeakMap<object, Requirement>();

  constructor(
    @Inject(Reflector) private readonly reflector: Reflector,
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(KEYLEDGER_VERIFIER) private readonly verifier: Verifier,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const requirement = declarationOf(context, this.reflector);
    if (requirement === 'no key') return true;
    if (!requirement || context.getType() !== 'http') throw new Error('@ApiKey() guards the handlers of HTTP routes');
    const request = context.switchToHttp().getRequest<Parameters<typeof verifyRequest>[1]>();
    if (this.#accepted.get(request) === requirement) return true;
    const decision = await verifyRequest(this.verifier, request, requirement);
    if (!decision.valid) throw rejected(context, this.host, decision.rejection);
    setHeaders(context, this.host, decision.headers);
    this.#accepted.set(request, requirement);
    return true;
  }
}

const UNDECLARED = {
  type: 'about:blank',
  title: 'Forbidden',
  status: 403,
  detail: 'This endpoint does not declare which API key it needs',
  code: 'requirement_undeclared',
};

/** Refuses requests to handlers that have neither `@ApiKey()` nor `@NoApiKey()`. */
@Injectable()
export class UndeclaredRouteGuard implements CanActivate {
  constructor(
    @Inject(Reflector) private readonly reflector: Reflector,
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(UNDECLARED_ROUTES) private readonly undeclaredRoutes: 'refuse' | 'pass',
  ) {}

  canActivate(context: ExecutionContext): boolean {
    if (this.undeclaredRoutes === 'pass' || declarationOf(context, this.reflector)) return true;
    if (context.getType() !== 'http') throw new ForbiddenException(UNDECLARED.detail);
    const { status, code, detail } = UNDECLARED;
    const headers = { 'content-type': 'application/problem+json' };
    throw rejected(context, this.host, { status, code, detail, headers, body: JSON.stringify(UNDECLARED) });
  }
}

/** What the handler declares, or else its controller. */
function declarationOf(context: ExecutionContext, reflector: Reflector): Declaration | undefined {
  return reflector.getAllAndOverride<Declaration | undefined>(DECLARATION, [context.getHandler(), context.getClass()]);
}

/** The headers are set here, so that your own exception filter need not do it. */
function rejected(context: ExecutionContext, host: HttpAdapterHost, rejection: Rejection): ApiKeyRejected {
  setHeaders(context, host, rejection.headers);
  return new ApiKeyRejected(rejection);
}

function setHeaders(context: ExecutionContext, { httpAdapter }: HttpAdapterHost, headers: Rejection['headers']): void {
  const response: unknown = context.switchToHttp().getResponse();
  for (const [name, value] of Object.entries(headers)) httpAdapter.setHeader(response, name, value);
}
