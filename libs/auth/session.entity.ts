import { defineEntity, p } from '@mikro-orm/core';
import { typeId } from '#libs/platform/type-id.js';

const SessionSchema = defineEntity({
  name: 'Session',
  properties: {
    id: typeId('session').primary(),
    userId: typeId('user'),
    ip: p.string().nullable(),
    userAgent: p.string().nullable(),
    createdAt: p.datetime(),
    expiresAt: p.datetime(),
    endedAt: p.datetime().nullable(),
  },
});

/** A sign-in, and everything that came of it. */
export class Session extends SessionSchema.class {}
SessionSchema.setClass(Session);

const RefreshTokenSchema = defineEntity({
  name: 'RefreshToken',
  properties: {
    /** SHA-256 of the token. */
    hash: p.uint8array().primary(),
    sessionId: typeId('session'),
    /** From it, the token and the deployment's secret the successor is derived. */
    salt: p.uint8array(),
    createdAt: p.datetime(),
    usedAt: p.datetime().nullable(),
  },
});

export class RefreshToken extends RefreshTokenSchema.class {}
RefreshTokenSchema.setClass(RefreshToken);
