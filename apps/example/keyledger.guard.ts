import {
  createParamDecorator,
  Inject,
  Injectable,
  Logger,
  type CanActivate,
  type ExecutionContext,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import { ApiError, type Client } from '#libs/client/client.js';
import { verifyApiKey } from '#libs/contract/api-keys.js';
import { type Verification } from '#libs/contract/verification.js';
import { problems, type ProblemCode } from '#libs/contract/problem.js';
import { Rejection } from './problem.js';

/** Injection token of the Keyledger client. */
export const KEYLEDGER = Symbol('Keyledger');

/** The scope that a caller's key needs. A handler without this decorator rejects all requests. */
export const RequireScope = Reflector.createDecorator<string>();

/** The key of the request. `organization_id` is its owner; `project_id` is the project that it is limited to. */
export type CallerKey = NonNullable<Verification['api_key']>;

declare module 'fastify' {
  interface FastifyRequest {
    apiKey?: CallerKey;
  }
}

/** Injects the caller's key into a handler. */
export const CallerKey = createParamDecorator(
  (_: unknown, context) => context.switchToHttp().getRequest<FastifyRequest>().apiKey,
);

/** Lets a request pass if Keyledger accepts its key for the scope. The same call records the use. */
@Injectable()
export class KeyledgerGuard implements CanActivate {
  readonly #logger = new Logger(KeyledgerGuard.name);

  constructor(
    private readonly reflector: Reflector,
    @Inject(KEYLEDGER) private readonly keyledger: Client,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const scope = this.reflector.get(RequireScope, context.getHandler());
    if (!scope) throw new Rejection(403, 'no_scope_declared', 'This endpoint declares no scope');

    const request = context.switchToHttp().getRequest<FastifyRequest>();
    const { code, detail, api_key, retry_after } = await this.#verify(keyOf(request), scope, request);
    if (code !== 'valid') throw rejection(code, { detail, scope, retryAfter: retry_after });
    request.apiKey = api_key!;
    return true;
  }

  async #verify(key: string, scope: string, request: FastifyRequest): Promise<Verification> {
    try {
      return await this.keyledger.apiKeys.verify({
        body: {
          key,
          scopes: [scope],
          request: {
            method: request.method,
            path: request.url.split('?', 1)[0]!,
            ip: request.ip,
            // The origin of the page that sent the request. A public key alone is rejected without it.
            origin: request.headers.origin?.slice(0, 500),
            user_agent: request.headers['user-agent']?.slice(0, 500),
          },
        },
      });
    } catch (error) {
      // Any failure, including a rejection of our own key, is not the caller's fault. Without a response, the request
      // fails.
      this.#logger.error(`Keyledger does not respond: ${String((error as Error).cause ?? error)}`);
      const retryAfter = (error instanceof ApiError && error.headers.get('retry-after')) || '1';
      throw new Rejection(503, 'verification_unavailable', 'Your API key cannot be verified at the moment; try again', {
        'retry-after': retryAfter,
      });
    }
  }
}

function keyOf({ headers }: FastifyRequest): string {
  const apiKey = headers['x-api-key'];
  const bearer = /^bearer +(\S+)$/i.exec(headers.authorization?.trim() ?? '')?.[1];
  if (apiKey && bearer && apiKey !== bearer) throw rejection('multiple_credentials');
  const key = apiKey ?? bearer;
  if (!key) throw rejection('unauthenticated');
  // Keyledger would report an invalid request; for our caller, the key is invalid.
  const parsed = verifyApiKey.body.shape.key.safeParse(key);
  if (!parsed.success) throw rejection('invalid_key');
  return parsed.data;
}

/** The status of each code comes from Keyledger's contract, and the format of a challenge from RFC 6750. */
function rejection(
  code: ProblemCode,
  { detail = problems[code].title, scope, retryAfter }: { detail?: string; scope?: string; retryAfter?: number } = {},
): Rejection {
  const { status } = problems[code];
  const realm = 'Bearer realm="example"';
  if (code === 'unauthenticated') return new Rejection(status, code, detail, { 'www-authenticate': realm });
  if (code === 'insufficient_scope') {
    const challenge = `${realm}, error="insufficient_scope", scope="${scope}"`;
    return new Rejection(status, code, `${detail}: it needs ${scope}`, { 'www-authenticate': challenge });
  }
  if (retryAfter) return new Rejection(status, code, detail, { 'retry-after': String(retryAfter) });
  const challenge = status === 401 ? { 'www-authenticate': `${realm}, error="invalid_token"` } : undefined;
  return new Rejection(status, code, detail, challenge);
}
