import { AsyncLocalStorage } from 'node:async_hooks';
import { createHash, randomUUID } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { canonicalJson } from './canonical-json.js';
import { DATABASE_POOL } from '#libs/database/database.js';
import { DomainError } from './errors.js';

/** A call that names an `Idempotency-Key`. */
export interface IdempotentCall {
  /** Who calls: keys of different callers never meet. */
  readonly caller: string;
  readonly key: string;
  /** The whole request as it was understood, defaults included, so that the same key with another one is noticed. */
  readonly request: unknown;
  /** Fields of the response that are shown once and never stored. */
  readonly secrets: readonly string[];
}

/** What a change required of its caller, as JSON. Which shapes there are is a matter of those who check it. */
export type Requirement = object;

/** Checks requirements. Declared here and implemented by `organizations`, which knows who may do what. */
export abstract class RequirementCheck {
  /** @throws DomainError when the caller no longer meets a requirement that it met when the change was made */
  abstract requireAgain(caller: object, requirement: Requirement): Promise<void>;
}

export interface Response {
  readonly body: unknown;
  readonly replayed: boolean;
}

interface Attempt extends IdempotentCall {
  readonly id: string;
  readonly requirements: Requirement[];
  present?: (value: unknown) => unknown;
}

const storage = new AsyncLocalStorage<Attempt>();

/** An attempt that has not ended after this long died with its process: another may take its place. */
const ABANDONED_AFTER = '60 seconds';

interface Row {
  readonly fingerprint: Buffer;
  readonly response: unknown;
  readonly requirements: readonly Requirement[] | null;
}

/**
 * Calls that may be repeated (draft-ietf-httpapi-idempotency-key-header). The response is stored by the transaction of the
 * change that it tells of, so there is never one without the other: a crash before the commit leaves an attempt that is
 * taken over, one after it a response that is repeated.
 */
@Injectable()
export class Idempotency {
  constructor(@Inject(DATABASE_POOL) private readonly pool: pg.Pool) {}

  /**
   * @param work makes its change by one transaction of `Changes`; `present` turns what that returns into the response
   * @param mayRepeat throws when the caller no longer meets a requirement of the change: the stored response is then not
   * shown, as the call itself would be refused today
   * @throws DomainError `idempotency_key_reused` for another request, `idempotency_in_flight` while the first one runs
   */
  async run(
    call: IdempotentCall,
    work: () => Promise<unknown>,
    mayRepeat: (requirement: Requirement) => Promise<void>,
  ): Promise<Response> {
    const attempt: Attempt = { ...call, id: randomUUID(), requirements: [] };
    const earlier = await this.#begin(attempt);
    if (earlier) {
      for (const requirement of earlier.requirements) await mayRepeat(requirement);
      return { body: earlier.response, replayed: true };
    }
    try {
      return { body: await storage.run(attempt, work), replayed: false };
    } catch (error) {
      // It changed nothing, so it may be tried again. Where this fails, too, it may after the time of an abandoned one.
      await this.pool
        .query('DELETE FROM idempotency_key WHERE caller = $1 AND key = $2 AND attempt = $3 AND response IS NULL', [
          attempt.caller,
          attempt.key,
          attempt.id,
        ])
        .catch(() => undefined);
      throw error;
    }
  }

  /** Takes the key, or gives the response that it stands for, with what its change required. */
  async #begin({
    caller,
    key,
    request,
    id,
  }: Attempt): Promise<{ response: unknown; requirements: readonly Requirement[] } | undefined> {
    const fingerprint = createHash('sha256').update(canonicalJson(request)).digest();
    const taken = await this.pool.query(
      `INSERT INTO idempotency_key AS known (caller, key, fingerprint, attempt) VALUES ($1, $2, $3, $4)
       ON CONFLICT (caller, key) DO UPDATE SET attempt = excluded.attempt, started_at = now()
       WHERE known.response IS NULL AND known.fingerprint = excluded.fingerprint
         AND known.started_at < now() - interval '${ABANDONED_AFTER}'`,
      [caller, key, fingerprint, id],
    );
    if (taken.rowCount === 1) return undefined;
    const { rows } = await this.pool.query<Row>(
      'SELECT fingerprint, response, requirements FROM idempotency_key WHERE caller = $1 AND key = $2',
      [caller, key],
    );
    const known = rows[0];
    if (known && !known.fingerprint.equals(fingerprint)) throw new DomainError('idempotency_key_reused');
    if (!known?.response || !known.requirements) {
      throw new DomainError('idempotency_in_flight', undefined, { retryAfter: 1 });
    }
    return { response: known.response, requirements: known.requirements };
  }
}

/**
 * How the change that this call makes is answered, said before it is made: the response is to be stored with it.
 * @returns the presented response
 */
export async function presented<V, A>(present: (value: V) => A, work: () => Promise<V>): Promise<A> {
  const attempt = storage.getStore();
  if (attempt) attempt.present = present as (value: unknown) => unknown;
  return present(await work());
}

/** Within a change, by what checks the caller's authority: checked again before the response of the change is repeated. */
export function noteRequirement(requirement: Requirement): void {
  storage.getStore()?.requirements.push(requirement);
}

/**
 * Within the transaction of a change, at its end: stores what a repeated call is answered.
 * @throws DomainError `idempotency_in_flight` when another attempt took this one's place
 */
export async function storeResponse(em: EntityManager, value: unknown): Promise<void> {
  const attempt = storage.getStore();
  if (!attempt?.present) return;
  const { requirements } = attempt;
  // A change that requires nothing of its caller would be repeated to anyone who once could make it.
  if (requirements.length === 0) throw new Error('The change did not note what it required of its caller');
  const { affectedRows } = await em.execute<{ affectedRows: number }>(
    `UPDATE idempotency_key SET response = ?::jsonb, requirements = ?::jsonb
     WHERE caller = ? AND key = ? AND attempt = ?::uuid AND response IS NULL`,
    [
      JSON.stringify(withoutFields(attempt.present(value), attempt.secrets)),
      JSON.stringify(requirements),
      attempt.caller,
      attempt.key,
      attempt.id,
    ],
    'run',
  );
  if (affectedRows !== 1) throw new DomainError('idempotency_in_flight', undefined, { retryAfter: 1 });
}

/** A change that is not what the call is about: its end is not the response's. */
export function apartFromTheCall<T>(work: () => Promise<T>): Promise<T> {
  return storage.exit(work);
}

function withoutFields(response: unknown, fields: readonly string[]): unknown {
  return Object.fromEntries(Object.entries(response as object).filter(([name]) => !fields.includes(name)));
}
