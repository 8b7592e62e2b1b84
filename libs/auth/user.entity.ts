import { defineEntity, p } from '@mikro-orm/core';
import { typeId } from '#libs/platform/type-id.js';

const UserSchema = defineEntity({
  name: 'User',
  tableName: 'user_account',
  properties: {
    id: typeId('user').primary(),
    /** In lower case. */
    email: p.string(),
    name: p.string(),
    passwordHash: p.string(),
    /** The default organization of the user's keys. Its audit log has the events of the account. */
    personalOrganizationId: typeId('org'),
    /** When the user became an operator of the deployment. */
    operatorSince: p.datetime().nullable(),
    createdAt: p.datetime(),
  },
});

export class User extends UserSchema.class {}
UserSchema.setClass(User);
