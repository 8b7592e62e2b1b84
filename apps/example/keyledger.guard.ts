import { createParamDecorator, Inject, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { callerOf, verifyRequest } from '#libs/verify/fastify.js';
import type { Caller, Verifier } from '#libs/verify/verifier.js';
import { Rejection } from './problem.js';

/** Injection token of the verifier. */
export const VERIFIER = Symbol('Verifier');

/** The scope that a caller's key needs. A handler without this decorator rejects all requests. */
export const RequireScope = Reflector.createDecorator<string>();

/** The key of the request. */
export type CallerKey = Caller;

/** Injects the caller's key into a handler. */
export const CallerKey = createParamDecorator((_: unknown, context) =>
  callerOf(context.switchToHttp().getRequest<FastifyRequest>()),
);

/** Lets a request pass if Keyledger accepts its key for the scope. The same call records the use. */
@Injectable()
export class KeyledgerGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    @Inject(VERIFIER) private readonly verifier: Verifier,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const scope = this.reflector.get(RequireScope, context.getHandler());
    if (!scope) throw new Rejection(403, 'no_scope_declared', 'This endpoint declares no scope');
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    const decision = await verifyRequest(this.verifier, request, { scopes: [scope] });
    if (!decision.valid) {
      const { status, code, detail, headers } = decision.rejection;
      throw new Rejection(status, code, detail, headers);
    }
    context.switchToHttp().getResponse<FastifyReply>().headers(decision.headers);
    return true;
  }
}
