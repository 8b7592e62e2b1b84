import { defineEntity, p } from '@mikro-orm/core';
import type { Environment, Metadata } from '#libs/contract/api-keys.js';
import type { RateLimit } from '#libs/contract/rate-limits.js';
import { revokedAt } from './revoked-at.js';
import { typeId } from '#libs/platform/type-id.js';

const ApiKeySchema = defineEntity({
  name: 'ApiKey',
  properties: {
    id: typeId('key').primary(),
    /** Its second identity, for those who know keys by number; the database gives it. */
    number: p.bigint('number').autoincrement(),
    organizationId: typeId('org'),
    /** The one project to which it is limited. */
    projectId: typeId('proj').nullable(),
    name: p.string(),
    description: p.text().nullable(),
    /** The customer's own name for whom or what the key is. */
    externalId: p.string().nullable(),
    /** For the people who manage the key. */
    ownerNote: p.text().nullable(),
    metadata: p.json().$type<Metadata>(),
    /** Names the key in the open. */
    publicKey: p.string(),
    /** How the present secret begins: its prefix and 6 characters. */
    prefix: p.string(),
    environment: p.string().$type<Environment>(),
    scopes: p.array().$type<string[]>(),
    allowedDomains: p.array().$type<string[]>(),
    /** What the public key alone reaches; null for what follows from the scopes and the allowed domains. */
    publicScopes: p.array().$type<string[]>().nullable(),
    allowedIps: p.array().$type<string[]>(),
    rateLimits: p.json().$type<RateLimit[]>(),
    createdByType: p.string().$type<'user' | 'api_key'>(),
    /** A bare UUID: whose it is, `createdByType` tells. */
    createdById: p.uuid(),
    /** The person behind it: who made it, or who stands behind the key that made it. */
    accountableUserId: typeId('user'),
    /** Made by somebody who manages their own keys only, so it manages no others either. */
    ownKeysOnly: p.boolean(),
    createdAt: p.datetime(),
    updatedAt: p.datetime(),
    expiresAt: p.datetime().nullable(),
    rotatedAt: p.datetime().nullable(),
    disabledAt: p.datetime().nullable(),
    /** What revokes the key sets this; what asks whether the key is revoked reads `revokedAt`. */
    ownRevokedAt: p.datetime().name('revoked_at').nullable(),
    /** Also of a key whose row a mass revocation has not reached yet. */
    revokedAt: p
      .datetime()
      .name('effective_revoked_at')
      .nullable()
      .formula((columns) => revokedAt(String(columns))),
    /** Gone from every list; the row stays for the audit log. */
    deletedAt: p.datetime().nullable(),
    /** Counts its changes: what If-Match compares. */
    version: p.integer(),
  },
});

/** What a customer manages. Its secrets are rows of their own. */
export class ApiKey extends ApiKeySchema.class {}
ApiKeySchema.setClass(ApiKey);

const ApiKeySecretSchema = defineEntity({
  name: 'ApiKeySecret',
  properties: {
    id: typeId('secret').primary(),
    apiKeyId: typeId('key'),
    /** The first 10 random characters of the token: by it the row is found. */
    handle: p.string(),
    /** Argon2id over the whole token. */
    hash: p.string(),
    createdAt: p.datetime(),
    /** From then on it no longer verifies; null while it is the key's secret. */
    endedAt: p.datetime().nullable(),
  },
});

export class ApiKeySecret extends ApiKeySecretSchema.class {}
ApiKeySecretSchema.setClass(ApiKeySecret);
