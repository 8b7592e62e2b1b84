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
    updatedAt: p.datetime(),
    /** Its keys do not work while it is set. */
    suspendedAt: p.datetime().nullable(),
    /** What its keys reach at the most; null for no limit. */
    scopeCeiling: p.array().$type<string[]>().nullable(),
    /** Counts its changes: what If-Match compares. */
    version: p.integer(),
  },
});

/** A customer of the deployment: owns keys, members, projects and an audit log. */
export class Organization extends OrganizationSchema.class {}
OrganizationSchema.setClass(Organization);
