import { problems, type Problem } from '#libs/contract/problem.js';
import type { DomainError } from '../errors.js';

/** Problem details (RFC 9457) of an error. */
export function problemOf(error: DomainError, publicUrl: string, requestId: string): Problem {
  const { status, title } = problems[error.code];
  return {
    type: `${publicUrl}/problems/${error.code}`,
    title,
    status,
    detail: error.message,
    code: error.code,
    request_id: requestId,
    ...(error.extra.errors && { errors: [...error.extra.errors] }),
  };
}

/** The headers that go with it, as `status` asks for them. */
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
