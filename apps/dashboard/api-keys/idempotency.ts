import { v4 } from 'uuid';

/**
 * Makes `Idempotency-Key` headers. The key stays the same for the same body, so that a retry after a lost response does
 * nothing twice. A different body gets a new key.
 */
export function idempotencyKeys(): (body: unknown) => { 'idempotency-key': string } {
  let last: { content: string; key: string } | undefined;
  return (body) => {
    const content = JSON.stringify(body);
    // Not `crypto.randomUUID`, which browsers do not offer without TLS.
    if (last?.content !== content) last = { content, key: v4() };
    return { 'idempotency-key': last.key };
  };
}
