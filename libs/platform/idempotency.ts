import { AsyncLocalStorage } from 'node:async_hooks';
import { createHash, randomUUID } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { DATABASE_POOL } from './database.js';
import { DomainError } from './errors.js';

/** A call that names an `Idempotency-Key`. */
export interface IdempotentCall {
  /** Who calls: keys of different callers never meet. */
  readonly caller: string;
  readonly key: string;
  /** The whole request as it was understood, so that the same key with another one is noticed. */
  readonly request: unknown;
  /** Fields of the answer that are shown once and never stored. */
  readonly secrets: readonly string[];
}

export interface Answer {
  readonly body: unknown;
  readonly replayed: boolean;
}

interface Attempt extends IdempotentCall {
  readonly id: string;
  present?: (value: unknown) => unknown;
}

const storage = new AsyncLocalStorage<Attempt>();

/** An attempt that has not ended after this long died with its process: another may take its place. */
const ABANDONED_AFTER = '60 seconds';

interface Row {
  readonly fingerprint: Buffer;
  readonly answer: unknown;
}

/**
 * Calls that may be repeated (draft-ietf-httpapi-idempotency-key-header). The answer is stored by the transaction of the
 * change that it tells of, so there is never one without the other: a crash before the commit leaves an attempt that is
 * taken over, one after it an answer that is repeated.
 */
@Injectable()
export class Idempotency {
  constructor(@Inject(DATABASE_POOL) private readonly pool: pg.Pool) {}

  /**
   * @param work makes its change by one transaction of `Changes`; `present` turns what that returns into the answer
   * @throws DomainError `idempotency_key_reused` for another request, `idempotency_in_flight` while the first one runs
   */
  async run(call: IdempotentCall, work: () => Promise<unknown>): Promise<Answer> {
    const attempt: Attempt = { ...call, id: randomUUID() };
    const earlier = await this.#begin(attempt);
    if (earlier !== undefined) return { body: earlier, replayed: true };
    try {
      return { body: await storage.run(attempt, work), replayed: false };
    } catch (error) {
      // It changed nothing, so it may be tried again. Where this fails, too, it may after the time of an abandoned one.
      await this.pool
        .query('DELETE FROM idempotency_key WHERE caller = $1 AND key = $2 AND attempt = $3 AND answer IS NULL', [
          attempt.caller,
          attempt.key,
          attempt.id,
        ])
        .catch(() => undefined);
      throw error;
    }
  }

  /** Takes the key, or gives the answer that it stands for. */
  async #begin({ caller, key, request, id }: Attempt): Promise<unknown> {
    const fingerprint = createHash('sha256').update(JSON.stringify(request)).digest();
    const taken = await this.pool.query(
      `INSERT INTO idempotency_key AS known (caller, key, fingerprint, attempt) VALUES ($1, $2, $3, $4)
       ON CONFLICT (caller, key) DO UPDATE SET attempt = excluded.attempt, started_at = now()
       WHERE known.answer IS NULL AND known.fingerprint = excluded.fingerprint
         AND known.started_at < now() - interval '${ABANDONED_AFTER}'`,
      [caller, key, fingerprint, id],
    );
    if (taken.rowCount === 1) return undefined;
    const { rows } = await this.pool.query<Row>(
      'SELECT fingerprint, answer FROM idempotency_key WHERE caller = $1 AND key = $2',
      [caller, key],
    );
    const known = rows[0];
    if (known && !known.fingerprint.equals(fingerprint)) throw new DomainError('idempotency_key_reused');
    if (!known?.answer) throw new DomainError('idempotency_in_flight', undefined, { retryAfter: 1 });
    return known.answer;
  }
}

/**
 * How the change that this call makes is answered, said before it is made: the answer is to be stored with it.
 * @returns the presented answer
 */
export async function presented<V, A>(present: (value: V) => A, work: () => Promise<V>): Promise<A> {
  const attempt = storage.getStore();
  if (attempt) attempt.present = present as (value: unknown) => unknown;
  return present(await work());
}

/**
 * Within the transaction of a change, at its end: stores what a repeated call is answered.
 * @throws DomainError `idempotency_in_flight` when another attempt took this one's place
 */
export async function storeAnswer(em: EntityManager, value: unknown): Promise<void> {
  const attempt = storage.getStore();
  if (!attempt?.present) return;
  const { affectedRows } = await em.execute<{ affectedRows: number }>(
    'UPDATE idempotency_key SET answer = ?::jsonb WHERE caller = ? AND key = ? AND attempt = ?::uuid AND answer IS NULL',
    [JSON.stringify(withoutFields(attempt.present(value), attempt.secrets)), attempt.caller, attempt.key, attempt.id],
    'run',
  );
  if (affectedRows !== 1) throw new DomainError('idempotency_in_flight', undefined, { retryAfter: 1 });
}

/** A change that is not what the call is about: its end is not the answer's. */
export function apartFromTheCall<T>(work: () => Promise<T>): Promise<T> {
  return storage.exit(work);
}

function withoutFields(answer: unknown, fields: readonly string[]): unknown {
  return Object.fromEntries(Object.entries(answer as object).filter(([name]) => !fields.includes(name)));
}
