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
    /** A deleted project is in no list. Its row stays for the audit log. */
    deletedAt: p.datetime().nullable(),
    /** Counts its changes. `If-Match` compares it. */
    version: p.integer(),
  },
});

/** A named part of an organization, to which keys can be limited. */
export class Project extends ProjectSchema.class {}
ProjectSchema.setClass(Project);
