import { Injectable } from '@nestjs/common';
import { Changes } from '#libs/admission/changes.js';
import { changesOf } from '#libs/platform/versions.js';
import { lockUsers } from './account-access.js';
import { actorOf, personOf, turnOf, type UserPrincipal } from './principal.js';
import { SessionsService } from './sessions.service.js';
import type { User } from './user.entity.js';

/** Changes of an account by its user, besides the password. */
@Injectable()
export class AccountsService {
  constructor(
    private readonly changes: Changes,
    private readonly sessions: SessionsService,
  ) {}

  /** The event has the name before as that of its actor and subject: events keep the name of their time. */
  async update(principal: UserPrincipal, patch: { name?: string | undefined }): Promise<User> {
    return this.changes.create(turnOf(principal), principal.personalOrganizationId, async ({ em, record }) => {
      const [user] = await lockUsers(em, [principal.userId]);
      await this.sessions.reload(em, principal);
      const before = personOf(user!);
      const changes = changesOf({ name: user!.name }, patch);
      if (Object.keys(changes).length > 0) {
        user!.name = patch.name!;
        record({
          type: 'user.updated',
          subject: before,
          actor: { ...actorOf(principal), ...before },
          data: { changes },
        });
      }
      return user!;
    });
  }
}
