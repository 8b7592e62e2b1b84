import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  endsByRotation,
  expiryIn,
  hasEnded,
  mayExpireAt,
  operations,
  stateOf,
  statusOf,
  transition,
  type KeyLife,
  type KeyOperation,
  type KeyState,
  type SecretLife,
} from './key-lifecycle.js';
import { decide, type ApiKeyRecord } from './verification/verification.js';

const instant = fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(4e12) });
const maybe = fc.option(instant);
const life = fc.record({ expiresAt: maybe, disabledAt: maybe, revokedAt: maybe, deletedAt: maybe });
const ended: readonly KeyState[] = ['expired', 'revoked', 'deleted'];

describe('the state of a key', () => {
  it('is the first that applies: deleted, revoked, expired, disabled, active', () => {
    fc.assert(
      fc.property(life, instant, (key, now) => {
        const expected = key.deletedAt
          ? 'deleted'
          : key.revokedAt
            ? 'revoked'
            : key.expiresAt && key.expiresAt <= now
              ? 'expired'
              : key.disabledAt
                ? 'disabled'
                : 'active';
        expect(stateOf(key, now)).toBe(expected);
        expect(statusOf(key, now)).toBe(expected === 'deleted' ? 'revoked' : expected);
      }),
    );
  });

  it('becomes expired exactly at the expiry', () => {
    const expiresAt = new Date('2026-11-20T12:00:00.000Z');
    expect(statusOf({ expiresAt }, new Date('2026-11-20T11:59:59.999Z'))).toBe('active');
    expect(statusOf({ expiresAt }, expiresAt)).toBe('expired');
  });
});

/** A key with its secrets, changed as the service changes its rows. */
class Key {
  life: KeyLife = {};
  secrets: { id: string; endedAt: Date | null }[] = [{ id: 's0', endedAt: null }];
  events: string[] = [];

  constructor(expiresAt: Date | null) {
    this.life = { expiresAt };
  }

  do({ operation, expiresInMs, graceSeconds }: Step, now: Date): 'refused' | 'done' {
    const step = transition(this.life, operation, now);
    if ('refused' in step) return 'refused';
    if (operation === 'update' && expiresInMs !== undefined) {
      const expiresAt = expiresInMs === null ? null : new Date(now.getTime() + expiresInMs);
      if (!mayExpireAt(expiresAt, now)) return 'refused';
      this.life = { ...this.life, expiresAt };
    }
    if (operation === 'rotate') {
      const { ends } = endsByRotation(this.secrets, graceSeconds, now);
      for (const secret of this.secrets) secret.endedAt = ends.get(secret.id) ?? secret.endedAt;
      this.secrets.push({ id: `s${this.secrets.length}`, endedAt: null });
    }
    this.life = { ...this.life, ...step.instants };
    if (step.from !== step.to) this.events.push(step.to);
    return 'done';
  }

  verifies(secret: SecretLife, now: Date): boolean {
    const { expiresAt = null, disabledAt = null, revokedAt = null } = this.life;
    const asRead = record({ expiresAt, disabledAt, revokedAt, secretEndedAt: secret.endedAt ?? null });
    return decide(asRead, anything, now) === 'valid';
  }
}

interface Step {
  readonly operation: KeyOperation;
  /** For an update: after how long the key expires, null for never, undefined if other fields change. */
  readonly expiresInMs: number | null | undefined;
  readonly graceSeconds: number;
  /** How much time passes before the step. */
  readonly afterMs: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  operation: fc.constantFrom(...(Object.keys(operations) as KeyOperation[])),
  expiresInMs: fc.oneof(fc.integer({ min: -5_000, max: 5_000 }), fc.constantFrom(null, undefined)),
  graceSeconds: fc.integer({ min: 0, max: 5 }),
  afterMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 4_000 })),
});
const history = fc.record({
  expiresInMs: fc.option(fc.integer({ min: 1, max: 10_000 })),
  steps: fc.array(step, { maxLength: 20 }),
});

/** Calls `look` after each step and again some time later. */
function live(
  { expiresInMs, steps }: { expiresInMs: number | null; steps: readonly Step[] },
  look: (key: Key, now: Date, done?: { step: Step; before: KeyState; outcome: 'refused' | 'done' }) => void,
): void {
  let now = 1_000_000;
  const key = new Key(expiresInMs === null ? null : new Date(now + expiresInMs));
  for (const step of steps) {
    now += step.afterMs;
    const before = stateOf(key.life, new Date(now));
    look(key, new Date(now));
    const outcome = key.do(step, new Date(now));
    look(key, new Date(now), { step, before, outcome });
  }
  for (const later of [0, 1, 3_000, 1e12]) look(key, new Date(now + later));
}

describe('the life of a key', () => {
  it('never leaves a final state: no secret verifies again after any operation or wait', () => {
    fc.assert(
      fc.property(history, (lived) => {
        let furthest = -1;
        live(lived, (key, now) => {
          const rank = ended.indexOf(stateOf(key.life, now));
          expect(rank).toBeGreaterThanOrEqual(furthest);
          furthest = rank;
          if (rank >= 0) expect(key.secrets.some((secret) => key.verifies(secret, now))).toBe(false);
        });
      }),
      { numRuns: 500 },
    );
  });

  it('lets a secret verify exactly while the key is active and the secret has not ended', () => {
    fc.assert(
      fc.property(history, (lived) => {
        const gone = new Set<string>();
        live(lived, (key, now) => {
          for (const secret of key.secrets) {
            const isAlive = !hasEnded(secret, now);
            expect(key.verifies(secret, now)).toBe(isAlive && stateOf(key.life, now) === 'active');
            if (isAlive) expect(gone.has(secret.id)).toBe(false);
            else gone.add(secret.id);
          }
        });
      }),
      { numRuns: 300 },
    );
  });

  it('follows the table of transitions, and keeps its state if an operation is rejected', () => {
    fc.assert(
      fc.property(history, (lived) => {
        live(lived, (key, now, done) => {
          if (!done) return;
          const to = operations[done.step.operation].from[done.before];
          const isRefused = to === 'conflict' || to === 'not_found';
          if (isRefused) expect(done.outcome).toBe('refused');
          if (done.outcome === 'done') expect(stateOf(key.life, now)).toBe(to);
          else expect(stateOf(key.life, now)).toBe(done.before);
        });
      }),
      { numRuns: 300 },
    );
  });

  it('records each end exactly once, and each change between enabled and disabled', () => {
    fc.assert(
      fc.property(history, (lived) => {
        // Events are only added, so what holds for all of them held at each step.
        let events: readonly string[] = [];
        live(lived, (key) => (events = key.events));
        for (const end of ['revoked', 'deleted'])
          expect(events.filter((event) => event === end).length).toBeLessThanOrEqual(1);
        const turns = events.filter((event) => event === 'disabled' || event === 'active');
        expect(turns).toEqual(turns.map((_, index) => (index % 2 ? 'active' : 'disabled')));
      }),
      { numRuns: 300 },
    );
  });

  it.each(Object.keys(operations) as KeyOperation[])('%s never leads out of a final state', (operation) => {
    const { from } = operations[operation];
    for (const state of ended) expect([...ended, 'conflict', 'not_found']).toContain(from[state]);
  });

  it('can be disabled, changed and rotated until it expires, and then only revoked or deleted', () => {
    const now = new Date();
    const allowed = (key: KeyLife) =>
      (Object.keys(operations) as KeyOperation[]).filter(
        (operation) => !('refused' in transition(key, operation, now)),
      );
    expect(allowed({})).toEqual(['update', 'rotate', 'enable', 'disable', 'revoke', 'delete']);
    expect(allowed({ disabledAt: now })).toEqual(['update', 'rotate', 'enable', 'disable', 'revoke', 'delete']);
    expect(allowed({ expiresAt: now })).toEqual(['revoke', 'delete']);
    expect(allowed({ expiresAt: now, disabledAt: now })).toEqual(['revoke', 'delete']);
    expect(allowed({ revokedAt: now })).toEqual(['revoke', 'delete']);
    expect(allowed({ revokedAt: now, deletedAt: now })).toEqual([]);
  });
});

describe('rotations with a grace period', () => {
  interface Secret {
    id: string;
    endedAt: Date | null;
    rotatedAt?: number;
    grace?: number;
  }
  const rotations = fc.array(
    fc.record({ after: fc.integer({ min: 0, max: 100_000 }), grace: fc.integer({ min: 0, max: 100 }) }),
    { minLength: 1, maxLength: 8 },
  );

  /** A key whose secret is replaced again and again. */
  function rotate(steps: readonly { after: number; grace: number }[]): { secrets: Secret[]; now: number } {
    let now = 1_000_000;
    const secrets: Secret[] = [{ id: 's0', endedAt: null }];
    for (const { after, grace } of steps) {
      now += after;
      const { presentId, ends } = endsByRotation(secrets, grace, new Date(now));
      for (const secret of secrets) secret.endedAt = ends.get(secret.id) ?? secret.endedAt;
      Object.assign(
        secrets.find(({ id }) => id === presentId)!,
        { rotatedAt: now, grace },
      );
      secrets.push({ id: `s${secrets.length}`, endedAt: null });
    }
    return { secrets, now };
  }
  const isAlive = ({ endedAt }: Secret, at: number) =>
    decide(record({ secretEndedAt: endedAt }), anything, new Date(at)) === 'valid';

  it('leave at most two working secrets: the newest, and the previous one within its grace period', () => {
    fc.assert(
      fc.property(rotations, fc.integer({ min: 0, max: 200_000 }), (steps, later) => {
        const { secrets, now } = rotate(steps);
        const alive = secrets.filter((secret) => isAlive(secret, now + later));
        expect(alive.length).toBeLessThanOrEqual(2);
        expect(alive.at(-1)).toBe(secrets.at(-1));
        for (const { rotatedAt, grace } of alive.slice(0, -1))
          expect(now + later).toBeLessThan(rotatedAt! + grace! * 1000);
      }),
    );
  });

  it('without a grace period leave only the newest secret', () => {
    fc.assert(
      fc.property(rotations, (steps) => {
        const { secrets, now } = rotate(steps.map((step) => ({ ...step, grace: 0 })));
        expect(secrets.filter((secret) => isAlive(secret, now))).toEqual([secrets.at(-1)]);
      }),
    );
  });

  it('never outlive the key: all secrets end at its expiry, whatever the grace period', () => {
    fc.assert(
      fc.property(rotations, (steps) => {
        const { secrets, now } = rotate(steps);
        for (const { endedAt } of secrets) {
          const key = record({ secretEndedAt: endedAt, expiresAt: new Date(now) });
          expect(decide(key, anything, new Date(now))).not.toBe('valid');
        }
      }),
    );
  });
});

const anything = { scopes: [], ip: null, origin: null };

function record(fields: Partial<ApiKeyRecord>): ApiKeyRecord {
  return {
    credential: 'secret',
    publicKey: 'pk_1',
    allowedDomains: [],
    apiKeyId: 'key_1',
    organizationId: 'org_1',
    organizationSuspendedAt: null,
    projectId: null,
    name: 'Key',
    externalId: null,
    metadata: '{}',
    environment: 'test',
    scopes: [],
    allowedIps: [],
    rateLimits: [],
    accountableUserId: 'user_1',
    ownKeysOnly: false,
    expiresAt: null,
    disabledAt: null,
    revokedAt: null,
    secretId: 'secret_1',
    secretEndedAt: null,
    ...fields,
  };
}

describe('a decision', () => {
  const past = new Date(0);
  const now = new Date(1);
  const rejections: [string, Partial<ApiKeyRecord>][] = [
    ['revoked', { revokedAt: past }],
    ['expired', { expiresAt: past }],
    ['disabled', { disabledAt: past }],
    ['organization_suspended', { organizationSuspendedAt: past }],
    ['ip_not_allowed', { allowedIps: ['192.0.2.0/24'] }],
    ['origin_not_allowed', { credential: 'public_key', allowedDomains: ['*.example.com'] }],
    ['wrong_project', { projectId: 'proj_a' }],
    ['insufficient_scope', { scopes: ['events:read'] }],
  ];
  const demand = {
    scopes: ['triggers:read'],
    ip: '198.51.100.1',
    origin: 'https://example.com',
    project: { id: 'proj_b', organizationId: 'org_1' },
  };

  it('names the first fault in the documented order', () => {
    fc.assert(
      fc.property(fc.subarray(rejections), (wrong) => {
        const good = record({ scopes: ['triggers:read'] });
        const bad = wrong.reduce((key, [, fields]) => ({ ...key, ...fields }), good);
        expect(decide(bad, demand, now)).toBe(wrong[0]?.[0] ?? 'valid');
      }),
    );
  });
});

it('an expiry in days counts 24 hours for each day', () => {
  expect(expiryIn(90, new Date('2024-01-15T10:30:00Z'))).toEqual(new Date('2024-04-14T10:30:00Z'));
  expect(expiryIn(undefined, new Date())).toBeNull();
});
