import { defineEntity, p } from '@mikro-orm/core';

const SigningKeySchema = defineEntity({
  name: 'SigningKey',
  properties: {
    /** The `kid`. */
    id: p.string().primary(),
    /** PKCS #8, sealed with KEYLEDGER_SECRET. The public key is derived from it. */
    privateKey: p.uint8array(),
    createdAt: p.datetime(),
  },
});

/** A key that signs access tokens. All nodes share it through the database. */
export class SigningKey extends SigningKeySchema.class {}
SigningKeySchema.setClass(SigningKey);
