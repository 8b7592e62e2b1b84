import { problems, type FieldError, type Problem } from '#libs/contract/problem.js';
import type { DomainError } from '../errors.js';
import { withoutSecrets } from '../redact.js';

/** Problem details (RFC 9457) for an error. */
export function problemOf(error: DomainError, publicUrl: string, requestId: string): Problem {
  const { status, title } = problems[error.code];
  return {
    type: `${publicUrl}/problems/${error.code}`,
    title,
    status,
    detail: withoutSecrets(error.message),
    code: error.code,
    request_id: requestId,
    ...(error.extra.errors && { errors: error.extra.errors.map(withoutEcho) }),
  };
}

/** A message may repeat caller input, such as the name of an unknown field. */
function withoutEcho({ location, message }: FieldError): FieldError {
  return { location: withoutSecrets(location), message: withoutSecrets(message) };
}

/** Headers of a problem response with this status. */
export function problemHeaders(error: DomainError, status: number): Record<string, string> {
  return {
    ...(error.extra.retryAfter !== undefined && { 'retry-after': String(error.extra.retryAfter) }),
    ...challenge(error, status),
  };
}

/** RFC 6750, section 3: no `error` when no credential was sent. */
function challenge({ code, extra: { scope } }: DomainError, status: number): Record<string, string> {
  const realm = 'Bearer realm="keyledger"';
  if (code === 'unauthenticated') return { 'www-authenticate': realm };
  if (code === 'insufficient_scope') {
    return { 'www-authenticate': `${realm}, error="insufficient_scope"${scope ? `, scope="${scope}"` : ''}` };
  }
  return status === 401 ? { 'www-authenticate': `${realm}, error="invalid_token"` } : {};
}
