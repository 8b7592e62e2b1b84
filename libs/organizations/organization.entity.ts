import { defineEntity, p } from '@mikro-orm/core';
import type { LeakPolicy } from '#libs/contract/organizations.js';
import type { KeyPolicy } from '#libs/contract/key-policy.js';
import { typeId } from '#libs/platform/type-id.js';

const OrganizationSchema = defineEntity({
  name: 'Organization',
  properties: {
    id: typeId('org').primary(),
    name: p.string(),
    /** Created with an account, as that person's own. */
    personal: p.boolean(),
    createdAt: p.datetime(),
    updatedAt: p.datetime(),
    /** While set, the organization's keys do not work. */
    suspendedAt: p.datetime().nullable(),
    /** The most scopes that its keys may have. Null for no limit. */
    scopeCeiling: p.array().$type<string[]>().nullable(),
    /** What happens to a key that is reported as leaked. */
    leakPolicy: p.string().$type<LeakPolicy>().default('revoke_live'),
    /** What every key must keep to. */
    keyPolicy: p.json().$type<KeyPolicy>(),
    /** Counts its changes. `If-Match` compares it. */
    version: p.integer(),
  },
});

/** A customer of the deployment: owns keys, members, projects and an audit log. */
export class Organization extends OrganizationSchema.class {}
OrganizationSchema.setClass(Organization);
