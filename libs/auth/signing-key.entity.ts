import { defineEntity, p } from '@mikro-orm/core';

const SigningKeySchema = defineEntity({
  name: 'SigningKey',
  properties: {
    /** The `kid`. */
    id: p.string().primary(),
    /** PKCS #8, sealed under KEYLEDGER_SECRET; the public key follows from it. */
    privateKey: p.uint8array(),
    createdAt: p.datetime(),
  },
});

/** A key that signs access tokens. It rests in the database, so that all nodes share it. */
export class SigningKey extends SigningKeySchema.class {}
SigningKeySchema.setClass(SigningKey);
