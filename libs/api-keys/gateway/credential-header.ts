import { z } from 'zod';
import { GATEWAY_HEADERS } from './gateway-response.js';

/**
 * Headers that mean something to a connection, to a gateway or to Keyledger. They cannot hold a key, and someone other
 * than the client may set them.
 */
const RESERVED = new Set([
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
const RESERVED_PREFIXES =
  /^(accept|access-control|authz|cache-control|content|if|proxy|sec|x-authz|x-forwarded|x-original|x-envoy)(-|$)/;

/** The name of the header that holds the credential: words with `-` between them, which every gateway forwards. */
export const CredentialHeader = z
  .string()
  .max(60)
  .transform((name) => name.toLowerCase())
  .refine((name) => /^[a-z0-9]+(-[a-z0-9]+)*$/.test(name) && !RESERVED.has(name) && !RESERVED_PREFIXES.test(name));
