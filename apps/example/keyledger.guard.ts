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
import { verifyApiKey, type Verification } from '#libs/contract/api-keys.js';
import { problems, type ProblemCode } from '#libs/contract/problem.js';
import { Rejection } from './problem.js';

/** Injection token of the client with which we talk to Keyledger. */
export const KEYLEDGER = Symbol('Keyledger');

/** What a caller's key has to be allowed to do. A handler without it is open to nobody. */
export const RequireScope = Reflector.createDecorator<string>();

/** The key that a request came with; `organization_id` says whose it is, `project_id` to what it is limited. */
export type CallerKey = NonNullable<Verification['api_key']>;

declare module 'fastify' {
  interface FastifyRequest {
    apiKey?: CallerKey;
  }
}

/** The handler's parameter for it. */
export const CallerKey = createParamDecorator(
  (_: unknown, context) => context.switchToHttp().getRequest<FastifyRequest>().apiKey,
);

/** Lets a request pass when Keyledger says that its key is good for it. That response is also the record of the use. */
@Injectable()
export class KeyledgerGuard implements CanActivate {
  readonly #logger = new Logger(KeyledgerGuard.name);

  constructor(
    private readonly reflector: Reflector,
    @Inject(KEYLEDGER) private readonly keyledger: Client,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const scope = this.reflector.get(RequireScope, context.getHandler());
    if (!scope) throw new Rejection(403, 'no_scope_declared', 'This endpoint is open to nobody');

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
            // From whose page it comes, without which a public key alone is refused.
            origin: request.headers.origin?.slice(0, 500),
            user_agent: request.headers['user-agent']?.slice(0, 500),
          },
        },
      });
    } catch (error) {
      // Whatever it is, also a rejection of our own key: the caller is not to blame, and without a response nobody passes.
      this.#logger.error(`Keyledger gives no response: ${String((error as Error).cause ?? error)}`);
      const retryAfter = (error instanceof ApiError && error.headers.get('retry-after')) || '1';
      throw new Rejection(503, 'verification_unavailable', 'Your API key cannot be checked at the moment; try again', {
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
  // Keyledger would call the question invalid; to our caller it is the key that is.
  const parsed = verifyApiKey.body.shape.key.safeParse(key);
  if (!parsed.success) throw rejection('invalid_key');
  return parsed.data;
}

/** The status that belongs to a code stands in Keyledger's contract; how a challenge reads, in RFC 6750. */
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
