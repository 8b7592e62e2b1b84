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

/** A sign-in and its refresh tokens. */
export class Session extends SessionSchema.class {}
SessionSchema.setClass(Session);

/** The filter of the sessions that are live, as `isLive` in `session.ts` decides it. */
export function liveAt(now: Date) {
  return { endedAt: null, expiresAt: { $gt: now } };
}

const RefreshTokenSchema = defineEntity({
  name: 'RefreshToken',
  properties: {
    /** SHA-256 of the token. */
    hash: p.uint8array().primary(),
    sessionId: typeId('session'),
    /** The next token is derived from this salt, the token and the deployment's secret. */
    salt: p.uint8array(),
    createdAt: p.datetime(),
    usedAt: p.datetime().nullable(),
  },
});

export class RefreshToken extends RefreshTokenSchema.class {}
RefreshTokenSchema.setClass(RefreshToken);
