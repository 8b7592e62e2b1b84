import { defineEntity, p } from '@mikro-orm/core';
import type { Environment, Leak, Metadata } from '#libs/contract/api-key-schemas.js';
import type { KeyPolicy } from '#libs/contract/key-policy.js';
import type { RateLimit } from '#libs/contract/rate-limits.js';
import { revokedAt } from './revoked-at.js';
import { typeId } from '#libs/platform/type-id.js';

const ApiKeySchema = defineEntity({
  name: 'ApiKey',
  properties: {
    id: typeId('key').primary(),
    /** A second id, assigned by the database, for clients that identify keys by number. */
    number: p.bigint('number').autoincrement(),
    organizationId: typeId('org'),
    /** The project to which the key is limited. */
    projectId: typeId('proj').nullable(),
    name: p.string(),
    description: p.text().nullable(),
    /** The customer's own id for the owner or the purpose of the key. */
    externalId: p.string().nullable(),
    /** A note for the users who manage the key. */
    ownerNote: p.text().nullable(),
    metadata: p.json().$type<Metadata>(),
    /** Names the key where secrets must not appear, as on a web page. */
    publicKey: p.string(),
    /** The beginning of the current secret: its prefix and 6 characters. Of an imported one, what the import says. */
    prefix: p.string(),
    /** Whether another system made the current secret. */
    imported: p.boolean(),
    environment: p.string().$type<Environment>(),
    scopes: p.array().$type<string[]>(),
    allowedDomains: p.array().$type<string[]>(),
    /** The scopes of the public key alone; null if they follow from the key's scopes and allowed domains. */
    publicScopes: p.array().$type<string[]>().nullable(),
    allowedIps: p.array().$type<string[]>(),
    rateLimits: p.json().$type<RateLimit[]>(),
    createdByType: p.string().$type<'user' | 'api_key'>(),
    /** A bare UUID. `createdByType` says whether it is a user's or a key's. */
    createdById: p.uuid(),
    /** The user who created the key, or the accountable user of the key that created it. */
    accountableUserId: typeId('user'),
    /** The creator could manage only their own keys, so the key can manage no others either. */
    ownKeysOnly: p.boolean(),
    createdAt: p.datetime(),
    updatedAt: p.datetime(),
    expiresAt: p.datetime().nullable(),
    rotatedAt: p.datetime().nullable(),
    disabledAt: p.datetime().nullable(),
    /** When it was last enabled again. */
    enabledAt: p.datetime().nullable(),
    /** Set by code that revokes the key. Code that checks whether the key is revoked reads `revokedAt`. */
    ownRevokedAt: p.datetime().name('revoked_at').nullable(),
    /** Also set for a key whose row a mass revocation has not reached yet. */
    revokedAt: p
      .datetime()
      .name('effective_revoked_at')
      .nullable()
      .formula((columns) => revokedAt(String(columns))),
    /** The key policy of its organization. */
    keyPolicy: p
      .json()
      .$type<KeyPolicy>()
      .formula(
        (columns) => `(SELECT o.key_policy FROM organization o WHERE o.id = ${String(columns)}.organization_id)`,
      ),
    /** No list shows a deleted key. Its row stays for the audit log. */
    deletedAt: p.datetime().nullable(),
    /** The last report that a secret of the key was found in a public place. */
    leak: p.json().$type<Leak>().nullable(),
    /** Counts the changes of the key. If-Match compares it. */
    version: p.integer(),
  },
});

/** An API key. Its secrets are separate rows. */
export class ApiKey extends ApiKeySchema.class {}
ApiKeySchema.setClass(ApiKey);

const ApiKeySecretSchema = defineEntity({
  name: 'ApiKeySecret',
  properties: {
    id: typeId('secret').primary(),
    apiKeyId: typeId('key'),
    /** By which the row is found: the first 10 random characters of the token, or see {@link ImportedTokens}. */
    handle: p.string(),
    /** Argon2id over the whole token; null for an imported secret that no caller has presented yet. */
    hash: p.string().nullable(),
    createdAt: p.datetime(),
    /** From this instant on, the secret no longer works; null for the current secret. */
    endedAt: p.datetime().nullable(),
    /** When it was first reported as leaked. */
    leakedAt: p.datetime().nullable(),
  },
});

export class ApiKeySecret extends ApiKeySecretSchema.class {}
ApiKeySecretSchema.setClass(ApiKeySecret);
