import { Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Clock } from '#libs/platform/clock.js';
import { Config } from '#libs/platform/config.js';
import { DomainError } from '#libs/platform/errors.js';
import { SESSION_DAYS } from './session.js';

const NAME = 'keyledger_refresh';
const PATH = '/api/v1/auth';

/** The refresh token of a browser's session: out of reach of scripts, and sent to the paths that need it only. */
@Injectable()
export class RefreshCookie {
  readonly #origin: string;

  constructor(
    config: Config,
    private readonly clock: Clock,
  ) {
    this.#origin = new URL(config.publicUrl).origin;
  }

  set(reply: FastifyReply, token: string): void {
    const expires = new Date(this.clock.now().getTime() + SESSION_DAYS * 86_400_000);
    void reply.setCookie(NAME, token, { ...this.#attributes(), expires });
  }

  clear(reply: FastifyReply): void {
    void reply.clearCookie(NAME, this.#attributes());
  }

  /**
   * The token of the request's cookie. `SameSite` keeps other sites' pages from sending it; this also holds where a
   * browser does not know it, and for other hosts of our own site.
   * @throws DomainError `cross_site_request`
   */
  read(request: FastifyRequest): string | undefined {
    const token = request.cookies[NAME];
    if (token === undefined) return undefined;
    const isJson = request.headers['content-type']?.startsWith('application/json');
    if (request.headers.origin !== this.#origin || !isJson) throw new DomainError('cross_site_request');
    return token;
  }

  #attributes() {
    return { path: PATH, httpOnly: true, sameSite: 'strict', secure: this.#origin.startsWith('https:') } as const;
  }
}
