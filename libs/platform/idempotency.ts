import { createHash, randomUUID } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import { Inject, Injectable } from '@nestjs/common';
import type pg from 'pg';
import { canonicalJson } from './canonical-json.js';
import { DATABASE_POOL } from '#libs/database/database.js';
import { DomainError } from './errors.js';

/** A call with an `Idempotency-Key`. */
export interface IdempotentCall {
  /** The caller. Keys of different callers never collide. */
  readonly caller: string;
  readonly key: string;
  /** The whole parsed request, to detect the same key with a different request. */
  readonly request: { readonly body: object };
  /**
   * The defaults of the body. They follow from the caller and the settings, so they may have changed when the call is
   * repeated. A repetition is compared under the defaults of the first call.
   */
  readonly defaults: object;
  /** Response fields that are shown once and never stored. */
  readonly secrets: readonly string[];
}

/** What a change required of its caller, as JSON. The code that checks requirements defines their shapes. */
export type Requirement = object;

/** Checks requirements. Declared here and implemented by `organizations`, which knows the rights of callers. */
export abstract class RequirementCheck {
  /** @throws DomainError if the caller no longer meets a requirement that it met when it made the change */
  abstract requireAgain(caller: object, requirement: Requirement): Promise<void>;
}

export interface Response {
  readonly body: unknown;
  readonly replayed: boolean;
}

/** One try of such a call. */
export interface Attempt extends IdempotentCall {
  readonly id: string;
  /** What the change required of the caller so far. */
  readonly requirements: Requirement[];
  /** Whether {@link respond} has stored the response. */
  isStored: boolean;
}

/** An attempt that has not ended after this long died with its process. Another one may take its place. */
const ABANDONED_AFTER = '60 seconds';

interface Row {
  readonly fingerprint: Buffer;
  readonly defaults: object;
  readonly response: unknown;
  readonly requirements: readonly Requirement[] | null;
}

/**
 * Calls that a client may repeat (draft-ietf-httpapi-idempotency-key-header). The transaction of a change also stores
 * its response, so neither exists without the other: a crash before the commit leaves an attempt that the next call
 * takes over, a crash after it leaves a response that the next call gets.
 */
@Injectable()
export class Idempotency {
  constructor(@Inject(DATABASE_POOL) private readonly pool: pg.Pool) {}

  /**
   * @param work makes one change, whose transaction calls {@link respond}
   * @param mayRepeat throws if the caller no longer meets a requirement of the change: then the stored response is not
   * shown, because the call itself would be rejected today
   * @throws DomainError `idempotency_key_reused` for a different request, `idempotency_in_flight` while the first one
   * runs
   */
  async run(
    call: IdempotentCall,
    work: (attempt: Attempt) => Promise<unknown>,
    mayRepeat: (requirement: Requirement) => Promise<void>,
  ): Promise<Response> {
    const attempt: Attempt = { ...call, id: randomUUID(), requirements: [], isStored: false };
    const earlier = await this.#begin(attempt);
    if (earlier) {
      for (const requirement of earlier.requirements) await mayRepeat(requirement);
      return { body: earlier.response, replayed: true };
    }
    let body: unknown;
    try {
      body = await work(attempt);
    } catch (error) {
      // The call changed nothing, so the caller may try again. If this fails too, the caller may try again once the
      // attempt counts as abandoned.
      await this.pool
        .query('DELETE FROM idempotency_key WHERE caller = $1 AND key = $2 AND attempt = $3 AND response IS NULL', [
          attempt.caller,
          attempt.key,
          attempt.id,
        ])
        .catch(() => undefined);
      throw error;
    }
    // The change is committed, so the key stays taken: a repetition must not make the change again at once.
    if (!attempt.isStored) throw new Error('The change did not store its response');
    return { body, replayed: false };
  }

  /** Takes the key, or returns the stored response of an earlier call and the requirements of its change. */
  async #begin(attempt: Attempt): Promise<{ response: unknown; requirements: readonly Requirement[] } | undefined> {
    const { caller, key, defaults, id } = attempt;
    const values = [caller, key, fingerprintOf(attempt, defaults), defaults, id];
    const taken = await this.pool.query(
      `INSERT INTO idempotency_key (caller, key, fingerprint, defaults, attempt) VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (caller, key) DO NOTHING`,
      values,
    );
    if (taken.rowCount === 1) return undefined;
    const { rows } = await this.pool.query<Row>(
      'SELECT fingerprint, defaults, response, requirements FROM idempotency_key WHERE caller = $1 AND key = $2',
      [caller, key],
    );
    const known = rows[0];
    if (known && !known.fingerprint.equals(fingerprintOf(attempt, known.defaults))) {
      throw new DomainError('idempotency_key_reused');
    }
    if (known?.response && known.requirements) return { response: known.response, requirements: known.requirements };
    // An abandoned attempt changed nothing. This one takes its place, with the present defaults.
    const takenOver = await this.pool.query(
      `UPDATE idempotency_key SET fingerprint = $3, defaults = $4, attempt = $5, started_at = now()
       WHERE caller = $1 AND key = $2 AND response IS NULL AND fingerprint = $6
         AND started_at < now() - interval '${ABANDONED_AFTER}'`,
      [...values, known?.fingerprint],
    );
    if (takenOver.rowCount === 1) return undefined;
    throw new DomainError('idempotency_in_flight', undefined, { retryAfter: 1 });
  }
}

function fingerprintOf({ request }: IdempotentCall, defaults: object): Buffer {
  const whole = { ...request, body: { ...defaults, ...request.body } };
  return createHash('sha256').update(canonicalJson(whole)).digest();
}

/** The part of a request's context that says whether its response is stored. */
interface MayBeRepeated {
  readonly attempt?: Attempt;
}

/**
 * Code that checks the caller's rights within a change calls this. The requirement is checked again before the response
 * of the change is repeated.
 */
export function noteRequirement({ attempt }: MayBeRepeated, requirement: Requirement): void {
  attempt?.requirements.push(requirement);
}

/**
 * Stores the response of a call for repetitions of it, if it has an `Idempotency-Key`. Call it last in the transaction
 * of the call's change.
 * @returns the response
 * @throws DomainError `idempotency_in_flight` if another attempt took this one's place
 */
export async function respond<R extends object>(
  em: EntityManager,
  { attempt }: MayBeRepeated,
  response: R,
): Promise<R> {
  if (!attempt) return response;
  const { requirements } = attempt;
  // Without a requirement, the response would be repeated to a caller that has lost the right to make the change.
  if (requirements.length === 0) throw new Error('The change did not note what it required of its caller');
  const { affectedRows } = await em.execute<{ affectedRows: number }>(
    `UPDATE idempotency_key SET response = ?::jsonb, requirements = ?::jsonb
     WHERE caller = ? AND key = ? AND attempt = ?::uuid AND response IS NULL`,
    [
      JSON.stringify(withoutFields(response, attempt.secrets)),
      JSON.stringify(requirements),
      attempt.caller,
      attempt.key,
      attempt.id,
    ],
    'run',
  );
  if (affectedRows !== 1) throw new DomainError('idempotency_in_flight', undefined, { retryAfter: 1 });
  attempt.isStored = true;
  return response;
}

function withoutFields(response: object, fields: readonly string[]): unknown {
  return Object.fromEntries(Object.entries(response).filter(([name]) => !fields.includes(name)));
}
