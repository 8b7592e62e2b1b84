import { Controller, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { GitHubMatches, reportFromGitHub, reportLeakedKeys, type GitHubMatch } from '#libs/contract/leaked-keys.js';
import type { RouteInput, RouteOutput } from '#libs/contract/route.js';
import { AddressRate } from '#libs/platform/address-rate.js';
import { Clock } from '#libs/platform/clock.js';
import { Config } from '#libs/platform/config.js';
import { DomainError } from '#libs/platform/errors.js';
import { parseBody } from '#libs/platform/http/body.js';
import { Implements, Input } from '#libs/platform/http/implements.js';
import { bodyOf } from '#libs/platform/http/input.js';
import type { RequestContext } from '#libs/platform/request-context.js';
import { cut } from '#libs/platform/text.js';
import { GitHubPublicKeys } from './github-public-keys.js';
import { LeakedKeys, type Report } from './leaked-keys.service.js';

@Controller()
export class LeakedKeysController {
  readonly #rate: AddressRate;

  constructor(
    private readonly leakedKeys: LeakedKeys,
    private readonly publicKeys: GitHubPublicKeys,
    config: Config,
    clock: Clock,
  ) {
    this.#rate = new AddressRate(config.settings.LEAKED_KEY_REPORTS_PER_MINUTE, () => clock.now().getTime());
  }

  @Implements(reportLeakedKeys)
  async report(
    @Input() { body }: RouteInput<typeof reportLeakedKeys>,
    @Req() { context }: FastifyRequest,
  ): Promise<void> {
    this.#takeTurn(context);
    const { tokens, source = null, url = null } = body;
    await this.leakedKeys.report(
      context,
      tokens.map((token) => ({ token, source, url })),
    );
  }

  @Implements(reportFromGitHub)
  async reportFromGitHub(
    @Input() { headers }: RouteInput<typeof reportFromGitHub>,
    @Req() { context, headers: raw, signedBody = Buffer.alloc(0) }: FastifyRequest,
  ): Promise<RouteOutput<typeof reportFromGitHub>> {
    this.#takeTurn(context);
    await this.publicKeys.requireSignature(
      signedBody,
      headers['github-public-key-identifier'],
      headers['github-public-key-signature'],
    );
    const matches = bodyOf(GitHubMatches, parseBody(signedBody, raw, reportFromGitHub.bodyLimits.values));
    const ours = await this.leakedKeys.report(context, matches.map(reportOf));
    return matches.map(({ token, type }) => ({
      token_raw: token,
      token_type: type,
      label: ours.has(token) ? 'true_positive' : 'false_positive',
    }));
  }

  #takeTurn({ ip }: RequestContext): void {
    const retryAfter = this.#rate.take(ip);
    if (retryAfter) throw new DomainError('rate_limited', 'Too many reports come from this address', { retryAfter });
  }
}

/** A reporter without a signature cannot name such a source: it has a colon. */
function reportOf({ token, url, source }: GitHubMatch): Report {
  return { token, source: cut(`github:${source ?? 'unknown'}`, 100), url: url ? cut(url, 2_000) : null };
}
