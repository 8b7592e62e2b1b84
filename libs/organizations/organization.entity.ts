import { defineEntity, p } from '@mikro-orm/core';
import { typeId } from '#libs/platform/type-id.js';

const OrganizationSchema = defineEntity({
  name: 'Organization',
  properties: {
    id: typeId('org').primary(),
    name: p.string(),
    /** Came with an account, and is that person's own. */
    personal: p.boolean(),
    createdAt: p.datetime(),
  },
});

/** A customer of the deployment: owns keys, members and an audit log. */
export class Organization extends OrganizationSchema.class {}
OrganizationSchema.setClass(Organization);
