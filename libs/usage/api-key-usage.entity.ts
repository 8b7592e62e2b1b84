import { defineEntity, p } from '@mikro-orm/core';
import { typeId } from '#libs/platform/type-id.js';

const ApiKeyUsageSchema = defineEntity({
  name: 'ApiKeyUsage',
  properties: {
    apiKeyId: typeId('key').primary(),
    uses: p.bigint('number'),
    denials: p.bigint('number'),
    lastUsedAt: p.datetime().nullable(),
    lastDeniedAt: p.datetime().nullable(),
  },
});

/** The worker's counts for one key. */
export class ApiKeyUsage extends ApiKeyUsageSchema.class {}
ApiKeyUsageSchema.setClass(ApiKeyUsage);

const VerificationsSchema = defineEntity({
  name: 'ApiKeyVerifications',
  properties: {
    apiKeyId: typeId('key').primary(),
    secretId: typeId('secret').primary(),
    ingestGroup: p.smallint().primary(),
    count: p.bigint('number'),
    lastAt: p.datetime(),
  },
});

/** A part of the verifications that a key requested with one of its secrets. The total is the sum of all parts. */
export class ApiKeyVerifications extends VerificationsSchema.class {}
VerificationsSchema.setClass(ApiKeyVerifications);

const SecretUsageSchema = defineEntity({
  name: 'ApiKeySecretUsage',
  properties: {
    secretId: typeId('secret').primary(),
    lastUsedAt: p.datetime(),
  },
});

export class ApiKeySecretUsage extends SecretUsageSchema.class {}
SecretUsageSchema.setClass(ApiKeySecretUsage);
