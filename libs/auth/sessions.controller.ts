import { Controller, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import {
  changePassword,
  endSession,
  listSessions,
  login,
  logout,
  refresh,
  resetPassword,
  updateAccount,
} from '#libs/contract/auth.js';
import type { RouteInput, RouteOutput } from '#libs/contract/route.js';
import { DomainError } from '#libs/platform/errors.js';
import { Implements, Input } from '#libs/platform/http/implements.js';
import { AccountsService } from './accounts.service.js';
import { PasswordResetsService } from './password-resets.service.js';
import { presentUser } from './present-user.js';
import { Caller, type CallerOf } from './principal.js';
import { RefreshCookie } from './refresh-cookie.js';
import { SessionsService, type Tokens } from './sessions.service.js';

@Controller()
export class SessionsController {
  constructor(
    private readonly sessions: SessionsService,
    private readonly accounts: AccountsService,
    private readonly passwordResets: PasswordResetsService,
    private readonly cookie: RefreshCookie,
  ) {}

  @Implements(login)
  async login(
    @Input() { body }: RouteInput<typeof login>,
    @Req() { context }: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<RouteOutput<typeof login>> {
    const tokens = await this.sessions.login(context, body);
    return body.session === 'cookie' ? this.#keepInCookie(reply, tokens) : tokens;
  }

  @Implements(refresh)
  async refresh(
    @Input() { body }: RouteInput<typeof refresh>,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<RouteOutput<typeof refresh>> {
    if (body.refresh_token !== undefined) return this.sessions.refresh(request.context, body.refresh_token);
    const token = this.cookie.read(request);
    if (token === undefined)
      throw new DomainError('invalid_refresh_token', 'Neither the body nor a cookie has a refresh token');
    return this.#keepInCookie(reply, await this.sessions.refresh(request.context, token));
  }

  @Implements(logout)
  async logout(
    @Caller() caller: CallerOf<typeof logout>,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<void> {
    await this.sessions.logout(caller);
    this.cookie.clear(reply);
  }

  @Implements(updateAccount)
  async updateAccount(
    @Input() { body }: RouteInput<typeof updateAccount>,
    @Caller() caller: CallerOf<typeof updateAccount>,
  ): Promise<RouteOutput<typeof updateAccount>> {
    return presentUser(await this.accounts.update(caller, body));
  }

  @Implements(changePassword)
  changePassword(
    @Input() { body }: RouteInput<typeof changePassword>,
    @Caller() caller: CallerOf<typeof changePassword>,
  ): Promise<void> {
    return this.sessions.changePassword(caller, body.current_password, body.new_password);
  }

  @Implements(resetPassword)
  resetPassword(
    @Input() { body }: RouteInput<typeof resetPassword>,
    @Req() { context }: FastifyRequest,
  ): Promise<void> {
    return this.passwordResets.redeem(context, body.token, body.new_password);
  }

  @Implements(listSessions)
  async list(@Caller() caller: CallerOf<typeof listSessions>): Promise<RouteOutput<typeof listSessions>> {
    const sessions = await this.sessions.list(caller);
    return {
      data: sessions.map((session) => ({
        id: session.id,
        current: session.id === caller.sessionId,
        ip: session.ip ?? null,
        user_agent: session.userAgent ?? null,
        created_at: session.createdAt.toISOString(),
        expires_at: session.expiresAt.toISOString(),
      })),
      total: sessions.length,
    };
  }

  @Implements(endSession)
  end(
    @Input() { params }: RouteInput<typeof endSession>,
    @Caller() caller: CallerOf<typeof endSession>,
  ): Promise<void> {
    return this.sessions.end(caller, params.id);
  }

  #keepInCookie(reply: FastifyReply, { refresh_token: token, ...visible }: Tokens): Omit<Tokens, 'refresh_token'> {
    this.cookie.set(reply, token);
    return visible;
  }
}
