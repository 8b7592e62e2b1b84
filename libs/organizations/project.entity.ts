import { defineEntity, p } from '@mikro-orm/core';
import { typeId } from '#libs/platform/type-id.js';

const ProjectSchema = defineEntity({
  name: 'Project',
  properties: {
    id: typeId('proj').primary(),
    organizationId: typeId('org'),
    name: p.string(),
    description: p.text().nullable(),
    createdAt: p.datetime(),
    updatedAt: p.datetime(),
    /** Gone from every list; the row stays for the audit log. */
    deletedAt: p.datetime().nullable(),
    /** Counts its changes: what If-Match compares. */
    version: p.integer(),
  },
});

/** A named part of an organization, to which keys can be limited. */
export class Project extends ProjectSchema.class {}
ProjectSchema.setClass(Project);
