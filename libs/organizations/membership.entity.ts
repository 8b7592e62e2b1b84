import { defineEntity, p } from '@mikro-orm/core';
import type { Role } from '#libs/contract/organizations.js';
import { typeId } from '#libs/platform/type-id.js';

const MembershipSchema = defineEntity({
  name: 'Membership',
  primaryKeys: ['organizationId', 'userId'],
  properties: {
    organizationId: typeId('org').primary(),
    userId: typeId('user').primary(),
    role: p.string().$type<Role>(),
    createdAt: p.datetime(),
  },
});

export class Membership extends MembershipSchema.class {}
MembershipSchema.setClass(Membership);
