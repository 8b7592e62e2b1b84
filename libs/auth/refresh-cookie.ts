import type { CookieSerializeOptions } from '@fastify/cookie';
import { Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Clock } from '#libs/platform/clock.js';
import { Config } from '#libs/platform/config.js';
import { DomainError } from '#libs/platform/errors.js';
import { SESSION_DAYS } from './session.js';

/**
 * The refresh token of a browser session, in a cookie that scripts cannot read. Over https its name begins with
 * `__Host-`: browsers then accept it only from this host, so another host of the same site cannot plant one (RFC
 * 6265bis, section 4.1.3.2). Such a cookie has the path `/`. Over plain http, where browsers reject the prefix, the
 * cookie is limited to the paths that need it.
 */
@Injectable()
export class RefreshCookie {
  readonly #origin: string;
  readonly #name: string;
  readonly #attributes: CookieSerializeOptions;

  constructor(
    config: Config,
    private readonly clock: Clock,
  ) {
    this.#origin = new URL(config.publicUrl).origin;
    const secure = this.#origin.startsWith('https:');
    this.#name = secure ? '__Host-keyledger_refresh' : 'keyledger_refresh';
    this.#attributes = { path: secure ? '/' : '/api/v1/auth', httpOnly: true, sameSite: 'strict', secure };
  }

  set(reply: FastifyReply, token: string): void {
    const expires = new Date(this.clock.now().getTime() + SESSION_DAYS * 86_400_000);
    void reply.setCookie(this.#name, token, { ...this.#attributes, expires });
  }

  clear(reply: FastifyReply): void {
    void reply.clearCookie(this.#name, this.#attributes);
  }

  /**
   * The token of the request's cookie. `SameSite` keeps pages of other sites from sending it. This check also covers
   * browsers without `SameSite`, and other hosts of our own site.
   * @throws DomainError `cross_site_request`
   */
  read(request: FastifyRequest): string | undefined {
    const token = request.cookies[this.#name];
    if (token === undefined) return undefined;
    const isJson = request.headers['content-type']?.startsWith('application/json');
    if (request.headers.origin !== this.#origin || !isJson) throw new DomainError('cross_site_request');
    return token;
  }
}
