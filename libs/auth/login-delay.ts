import { createHash } from 'node:crypto';
import { EntityManager } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { subscriberOf } from '#libs/platform/address-rate.js';
import { Clock } from '#libs/platform/clock.js';
import { DomainError } from '#libs/platform/errors.js';
import { FairQueue } from '#libs/platform/fair-queue.js';

/** The number of failures after which attempts are delayed, and the delays. */
export interface DelayPolicy {
  readonly free: number;
  readonly firstMs: number;
  readonly maxMs: number;
}

/**
 * Delays grow only for attempts on one account from one address. All attempts on an account together, and all attempts
 * from one address, have a constant delay: no attacker can lock the owner out.
 */
const POLICIES = {
  accountFromAddress: { free: 5, firstMs: 1_000, maxMs: 30_000 },
  account: { free: 20, firstMs: 250, maxMs: 250 },
  address: { free: 50, firstMs: 250, maxMs: 250 },
} as const satisfies Record<string, DelayPolicy>;

/**
 * The longest that a request waits for its turn. A request that would wait longer is rejected with the time to try
 * again.
 */
const MAX_WAIT_MS = 5_000;
/**
 * Taking a turn costs the database some milliseconds, and each running one holds a connection of the pool for
 * transactions.
 */
const TURNS = { running: 2, runningPerFlow: 2, waiting: 500, waitingPerFlow: 100, patienceMs: 5_000 };
/** A bucket without attempts for this long is reset. */
const FORGET_MS = 3_600_000;

export interface DelayState {
  readonly failures: number;
  readonly nextAttemptAt: Date;
}

/** Takes the next turn. Returns its time, and the state to keep if the attempt fails. */
export function takeTurn(
  state: DelayState | undefined,
  policy: DelayPolicy,
  now: Date,
): { at: Date; next: DelayState } {
  const forgotten = !state || now.getTime() - state.nextAttemptAt.getTime() > FORGET_MS;
  const failures = forgotten ? 0 : state.failures;
  const at = new Date(Math.max(now.getTime(), forgotten ? 0 : state.nextAttemptAt.getTime()));
  const over = failures + 1 - policy.free;
  const spacing = over <= 0 ? 0 : Math.min(policy.maxMs, policy.firstMs * 2 ** Math.min(over - 1, 30));
  return { at, next: { failures: failures + 1, nextAttemptAt: new Date(at.getTime() + spacing) } };
}

/**
 * Slows down guessing. Each attempt takes its turn in advance and counts as a failure until it succeeds, so that a
 * thousand parallel attempts wait as long as a thousand in a row.
 */
@Injectable()
export class LoginDelay {
  /** Attempts on one account wait for each other's rows. They wait here, so that they do not each hold a connection. */
  readonly #turns = new FairQueue({ of: 'sign-ins', ...TURNS });

  constructor(
    private readonly em: EntityManager,
    private readonly clock: Clock,
  ) {}

  /**
   * Resolves when the attempt may be made.
   * @throws DomainError `too_many_attempts` with the seconds to wait, if the wait is too long
   */
  async wait(email: string, ip: string | null): Promise<void> {
    const turn = await this.#turns.run(subscriberOf(ip), () => this.#take(email, ip));
    if (turn > MAX_WAIT_MS) {
      throw new DomainError('too_many_attempts', undefined, { retryAfter: Math.ceil(turn / 1000) });
    }
    if (turn > 0) await new Promise((resolve) => setTimeout(resolve, turn));
  }

  /** @returns how many milliseconds the attempt has to wait */
  #take(email: string, ip: string | null): Promise<number> {
    return this.em.fork().transactional(async (em) => {
      const now = this.clock.now();
      let turnAt = now;
      const taken: [string, DelayState][] = [];
      for (const [bucket, policy] of buckets(email, ip)) {
        const { at, next } = takeTurn(await read(em, bucket), policy, now);
        taken.push([bucket, next]);
        if (at > turnAt) turnAt = at;
      }
      const waitMs = turnAt.getTime() - now.getTime();
      if (waitMs <= MAX_WAIT_MS) for (const [bucket, next] of taken) await write(em, bucket, next);
      return waitMs;
    });
  }

  /** The attempt succeeded: its turn does not count as a failure, and the delay of this address and account ends. */
  async succeeded(email: string, ip: string | null): Promise<void> {
    const [pair, ...others] = buckets(email, ip).map(([bucket]) => bucket);
    const em = this.em.fork();
    await em.execute('DELETE FROM login_delay WHERE bucket = ?', [pair]);
    for (const bucket of others) {
      await em.execute('UPDATE login_delay SET failures = greatest(failures - 1, 0) WHERE bucket = ?', [bucket]);
    }
  }
}

/** In a fixed order, so that two attempts never deadlock. The table contains no e-mail addresses, only hashes. */
function buckets(email: string, ip: string | null): [string, DelayPolicy][] {
  const account = createHash('sha256').update(email).digest('base64url');
  const subscriber = subscriberOf(ip);
  return [
    [`account ${account} from ${subscriber}`, POLICIES.accountFromAddress],
    [`account ${account}`, POLICIES.account],
    [`address ${subscriber}`, POLICIES.address],
  ];
}

async function read(em: EntityManager, bucket: string): Promise<DelayState | undefined> {
  // Create the row first, so that there is always one to lock.
  await em.execute(
    `INSERT INTO login_delay (bucket, failures, next_attempt_at) VALUES (?, 0, '-infinity') ON CONFLICT DO NOTHING`,
    [bucket],
  );
  const [row] = await em.execute<{ failures: number; next_attempt_ms: number | null }[]>(
    `SELECT failures, CASE WHEN isfinite(next_attempt_at) THEN extract(epoch FROM next_attempt_at)::float8 * 1000 END
     AS next_attempt_ms FROM login_delay WHERE bucket = ? FOR UPDATE`,
    [bucket],
  );
  return row?.next_attempt_ms == null
    ? undefined
    : { failures: row.failures, nextAttemptAt: new Date(row.next_attempt_ms) };
}

async function write(em: EntityManager, bucket: string, state: DelayState): Promise<void> {
  await em.execute('UPDATE login_delay SET failures = ?, next_attempt_at = ?::timestamptz WHERE bucket = ?', [
    state.failures,
    state.nextAttemptAt.toISOString(),
    bucket,
  ]);
}
