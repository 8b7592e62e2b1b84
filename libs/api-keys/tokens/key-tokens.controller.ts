import { Controller, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { credentialOf } from '#libs/auth/sent-credential.js';
import { createKeyToken, jsonWebKeySet } from '#libs/contract/key-tokens.js';
import { rateLimitHeaders } from '#libs/contract/rate-limits.js';
import type { RouteInput, RouteOutput } from '#libs/contract/route.js';
import { Implements, Input } from '#libs/platform/http/implements.js';
import { presentRateLimits } from '../rate-limits.js';
import { KeyTokens } from './key-tokens.service.js';
import { KEY_SET_SECONDS } from './token-keys.js';
import { TokenSigner } from './token-signer.js';

@Controller()
export class KeyTokensController {
  constructor(
    private readonly tokens: KeyTokens,
    private readonly signer: TokenSigner,
  ) {}

  @Implements(createKeyToken)
  async create(
    @Input() { body }: RouteInput<typeof createKeyToken>,
    @Req() { headers, context }: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<RouteOutput<typeof createKeyToken>> {
    const { audience, scopes, expires_in_seconds: seconds } = body;
    const wanted = { audience, scopes, seconds };
    const { token, expiresAt, limits } = await this.tokens.exchange(credentialOf(headers), wanted, context);
    void reply.headers(rateLimitHeaders(limits && presentRateLimits(limits)));
    return { token, expires_at: expiresAt.toISOString() };
  }

  @Implements(jsonWebKeySet)
  async keySet(@Res({ passthrough: true }) reply: FastifyReply): Promise<RouteOutput<typeof jsonWebKeySet>> {
    const keySet = await this.signer.publicKeys();
    void reply.header('cache-control', `public, max-age=${KEY_SET_SECONDS}`);
    return keySet;
  }
}
