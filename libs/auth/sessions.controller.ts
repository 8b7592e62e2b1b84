import { Controller } from '@nestjs/common';
import { login, logout, refresh } from '#libs/contract/auth.js';
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
}
