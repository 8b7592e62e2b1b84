import { defineEntity, p } from '@mikro-orm/core';
import { typeId } from '#libs/platform/type-id.js';

const UserSchema = defineEntity({
  name: 'User',
  tableName: 'user_account',
  properties: {
    id: typeId('user').primary(),
    /** Lower case. */
    email: p.string(),
    name: p.string(),
    passwordHash: p.string(),
    /** Where keys go when no organization is named, and where the account's own events are. */
    personalOrganizationId: typeId('org'),
    /** Since when the user is one of the deployment's own staff. */
    operatorSince: p.datetime().nullable(),
    createdAt: p.datetime(),
  },
});

export class User extends UserSchema.class {}
UserSchema.setClass(User);
