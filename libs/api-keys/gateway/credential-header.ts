import { z } from 'zod';
import { GATEWAY_HEADERS } from './gateway-response.js';

/**
 * Headers with a meaning of their own: to a connection, to a gateway, or to us. What stands there is no key, and might be
 * set by anyone but the client.
 */
const TAKEN = new Set([
  ...GATEWAY_HEADERS,
  'connection',
  'cookie',
  'cookie2',
  'date',
  'expect',
  'forwarded',
  'from',
  'host',
  'http2-settings',
  'keep-alive',
  'origin',
  'range',
  'referer',
  'set-cookie',
  'te',
  'trailer',
  'transfer-encoding',
  'traceparent',
  'tracestate',
  'upgrade',
  'user-agent',
  'via',
  'x-real-ip',
  'x-request-id',
]);
const TAKEN_BEGINNINGS =
  /^(accept|access-control|authz|cache-control|content|if|proxy|sec|x-authz|x-forwarded|x-original|x-envoy)(-|$)/;

/** The name of the one header that holds the credential: words with `-` between them, as every gateway passes them on. */
export const CredentialHeader = z
  .string()
  .max(60)
  .transform((name) => name.toLowerCase())
  .refine((name) => /^[a-z0-9]+(-[a-z0-9]+)*$/.test(name) && !TAKEN.has(name) && !TAKEN_BEGINNINGS.test(name));
