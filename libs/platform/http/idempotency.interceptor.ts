import { Injectable, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { from, lastValueFrom, type Observable } from 'rxjs';
import type { CallerDefaults, Route } from '#libs/contract/route.js';
import { Config } from '../config.js';
import { Idempotency, RequirementCheck } from '../idempotency.js';
import { ROUTE } from './implements.js';

/** Identifying fields of any kind of principal that the guard sets. */
interface Named {
  readonly userId?: string;
  readonly personalOrganizationId?: string;
  readonly apiKeyId?: string;
  readonly organizationId?: string;
  readonly projectId?: string | null;
  readonly environment?: string;
  readonly allowedIps?: readonly string[];
}

/**
 * Handles `Idempotency-Key` on the routes that declare it. Runs after validation, so that an invalid request is
 * reported first.
 */
@Injectable()
export class IdempotencyInterceptor implements NestInterceptor {
  constructor(
    private readonly reflector: Reflector,
    private readonly idempotency: Idempotency,
    private readonly requirements: RequirementCheck,
    private readonly config: Config,
  ) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const route = this.reflector.get<Route>(ROUTE, context.getHandler());
    const request = context.switchToHttp().getRequest<FastifyRequest & { user: Named; input: Input }>();
    const key = request.input.headers['idempotency-key']?.replace(/^"(.*)"$/, '$1');
    if (!route.idempotent || key === undefined) return next.handle();
    const { params, headers, body } = request.input;
    const call = {
      caller: (request.user.userId ?? request.user.apiKeyId)!,
      key,
      request: {
        method: route.method,
        path: route.path,
        params,
        ifMatch: headers['if-match'],
        body,
      },
      defaults: route.idempotent.defaults?.(this.#defaultsOf(request.user)) ?? {},
      secrets: route.idempotent.secrets,
    };
    const answered = this.idempotency.run(
      call,
      (attempt) => {
        request.context.attempt = attempt;
        return lastValueFrom(next.handle());
      },
      (requirement) => this.requirements.requireAgain(request.user, requirement),
    );
    return from(respondWith(answered, context.switchToHttp().getResponse<FastifyReply>()));
  }

  #defaultsOf(user: Named): CallerDefaults {
    return {
      organizationId: user.personalOrganizationId ?? user.organizationId,
      projectId: user.projectId ?? undefined,
      environment: user.environment ?? this.config.settings.DEFAULT_KEY_ENVIRONMENT,
      allowedIps: user.allowedIps ?? [],
    };
  }
}

async function respondWith(answered: ReturnType<Idempotency['run']>, reply: FastifyReply): Promise<unknown> {
  const { body, replayed } = await answered;
  if (replayed) void reply.header('idempotent-replayed', 'true');
  return body;
}

interface Input {
  readonly headers: { readonly 'idempotency-key'?: string; readonly 'if-match'?: string };
  readonly params: unknown;
  readonly body: object;
}
