import { v4 } from 'uuid';

/**
 * An `Idempotency-Key` that stays as long as what is sent does: trying again after a lost response does nothing twice, and
 * another content is another call.
 */
export function idempotencyKeys(): (body: unknown) => { 'idempotency-key': string } {
  let last: { content: string; key: string } | undefined;
  return (body) => {
    const content = JSON.stringify(body);
    // `crypto.randomUUID` is not there without TLS.
    if (last?.content !== content) last = { content, key: v4() };
    return { 'idempotency-key': last.key };
  };
}
