import { Controller, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { getKeyPolicy, updateKeyPolicy } from '#libs/contract/key-policy.js';
import { etagOf } from '#libs/contract/preconditions.js';
import type { RouteInput, RouteOutput } from '#libs/contract/route.js';
import { Implements, Input } from '#libs/platform/http/implements.js';
import { Authorized, type AuthorityOf } from './authority.js';
import { KeyPolicies } from './key-policies.service.js';
import type { Organization } from './organization.entity.js';

@Controller()
export class KeyPolicyController {
  constructor(private readonly policies: KeyPolicies) {}

  @Implements(getKeyPolicy)
  async get(
    @Authorized() authority: AuthorityOf<typeof getKeyPolicy>,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<RouteOutput<typeof getKeyPolicy>> {
    return presentTagged(reply, await this.policies.get(authority));
  }

  @Implements(updateKeyPolicy)
  async update(
    @Input() { headers, body }: RouteInput<typeof updateKeyPolicy>,
    @Authorized() authority: AuthorityOf<typeof updateKeyPolicy>,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<RouteOutput<typeof updateKeyPolicy>> {
    return presentTagged(reply, await this.policies.update(authority, body, headers['if-match']));
  }
}

/** Adds the ETag for `If-Match`. */
function presentTagged(reply: FastifyReply, { keyPolicy, version }: Organization) {
  void reply.header('etag', etagOf(version));
  return keyPolicy;
}
