import { defineEntity, p } from '@mikro-orm/core';
import { typeId } from '#libs/platform/type-id.js';

const PasswordResetSchema = defineEntity({
  name: 'PasswordReset',
  properties: {
    /** SHA-256 of the token in the link. */
    tokenHash: p.uint8array().primary(),
    userId: typeId('user'),
    /** The operator who made the link. */
    createdBy: typeId('user'),
    createdAt: p.datetime(),
    expiresAt: p.datetime(),
    /** When the link was used, or replaced by a later one. */
    usedAt: p.datetime().nullable(),
  },
});

/** A one-time link with which the owner of an account sets a new password. */
export class PasswordReset extends PasswordResetSchema.class {}
PasswordResetSchema.setClass(PasswordReset);

/** The filter of the links that still work. */
export function openAt(now: Date) {
  return { usedAt: null, expiresAt: { $gt: now } };
}
