import { z } from 'zod';
import { defineRoute } from './route.js';
import { Scope } from './scopes.js';

const tag = 'Key tokens';

/** The longest life of a key token, because nothing revokes one. */
export const KEY_TOKEN_MAX_SECONDS = 300;

export const createKeyToken = defineRoute({
  method: 'POST',
  path: '/api/v1/api-keys/token',
  tag,
  summary: 'Exchange a key for a token',
  description:
    'The response has a signed token (JWT, ES256) that services verify offline, with the keys of `/.well-known/jwks.json`. ' +
    'The exchange is a use of the key, decided, recorded and charged like a verification with the cost 1. Uses of the token are ' +
    'neither recorded nor charged, and the end of the key does not end its tokens: each is valid until it expires, ' +
    'at most five minutes after the exchange. Send the secret, or both halves of the key: a public key alone is rejected.',
  policy: 'key',
  body: z.strictObject({
    audience: z
      .string()
      .min(1)
      .max(200)
      .meta({ description: 'The service that is to accept the token: one of `TOKEN_AUDIENCES` of the deployment' }),
    scopes: z.array(Scope).max(20).meta({ description: 'What the token allows. The key needs all of them' }),
    expires_in_seconds: z
      .int()
      .min(1)
      .max(KEY_TOKEN_MAX_SECONDS)
      .default(KEY_TOKEN_MAX_SECONDS)
      .meta({ description: 'The life of the token, which ends with the key or its secret at the latest' }),
  }),
  success: {
    status: 200,
    body: z
      .strictObject({
        token: z.string(),
        expires_at: z.iso.datetime(),
      })
      .meta({ id: 'KeyToken' }),
  },
  problems: ['insufficient_scope', 'insufficient_credits'],
});

/** RFC 7517. */
const PublicKey = z.strictObject({
  kty: z.literal('EC'),
  crv: z.literal('P-256'),
  x: z.string(),
  y: z.string(),
  kid: z.string(),
  alg: z.literal('ES256'),
  use: z.literal('sig'),
});

export const jsonWebKeySet = defineRoute({
  method: 'GET',
  path: '/.well-known/jwks.json',
  tag,
  summary: 'Read the public keys that verify tokens',
  description:
    'A JSON Web Key Set (RFC 7517). It has the keys whose tokens are still valid, and a new key well before that signs. ' +
    'Keep it as long as `Cache-Control` says, and read it again for an unknown `kid`.',
  policy: 'public',
  success: { status: 200, body: z.strictObject({ keys: z.array(PublicKey) }).meta({ id: 'JsonWebKeySet' }) },
});
