import { Controller } from '@nestjs/common';
import { changePassword, endSession, listSessions, login, logout, refresh } from '#libs/contract/auth.js';
import type { RouteInput, RouteOutput } from '#libs/contract/route.js';
import { Implements, Input } from '#libs/platform/http/implements.js';
import { Caller, type UserPrincipal } from './principal.js';
import { SessionsService } from './sessions.service.js';

@Controller()
export class SessionsController {
  constructor(private readonly sessions: SessionsService) {}

  @Implements(login)
  login(@Input() { body }: RouteInput<typeof login>): Promise<RouteOutput<typeof login>> {
    return this.sessions.login(body);
  }

  @Implements(refresh)
  refresh(@Input() { body }: RouteInput<typeof refresh>): Promise<RouteOutput<typeof refresh>> {
    return this.sessions.refresh(body.refresh_token);
  }

  @Implements(logout)
  logout(@Caller() caller: UserPrincipal): Promise<void> {
    return this.sessions.logout(caller);
  }

  @Implements(changePassword)
  changePassword(@Input() { body }: RouteInput<typeof changePassword>, @Caller() caller: UserPrincipal): Promise<void> {
    return this.sessions.changePassword(caller, body.current_password, body.new_password);
  }

  @Implements(listSessions)
  async list(@Caller() caller: UserPrincipal): Promise<RouteOutput<typeof listSessions>> {
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
  end(@Input() { params }: RouteInput<typeof endSession>, @Caller() caller: UserPrincipal): Promise<void> {
    return this.sessions.end(caller, params.id);
  }
}
