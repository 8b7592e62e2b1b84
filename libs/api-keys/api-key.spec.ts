import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { endsByRotation, expiryIn, statusOf, whyDead } from './api-key.js';
import { decide, type ApiKeyRecord } from './verification/verification.js';

const instant = fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(4e12) });
const maybe = fc.option(instant);
const lifecycle = fc.record({ expiresAt: maybe, disabledAt: maybe, revokedAt: maybe });

describe('the status of a key', () => {
  it('is revoked before disabled before expired before active', () => {
    fc.assert(
      fc.property(lifecycle, instant, (key, now) => {
        const expected = key.revokedAt
          ? 'revoked'
          : key.disabledAt
            ? 'disabled'
            : key.expiresAt && key.expiresAt <= now
              ? 'expired'
              : 'active';
        expect(statusOf(key, now)).toBe(expected);
      }),
    );
  });

  it('turns to expired at the very instant, not after it', () => {
    const expiresAt = new Date('2026-11-20T12:00:00.000Z');
    expect(statusOf({ expiresAt }, new Date('2026-11-20T11:59:59.999Z'))).toBe('active');
    expect(statusOf({ expiresAt }, expiresAt)).toBe('expired');
  });

  it('never comes back to life as time goes by', () => {
    fc.assert(
      fc.property(lifecycle, instant, fc.nat(), (key, now, later) => {
        if (statusOf(key, now) !== 'active') {
          expect(statusOf(key, new Date(now.getTime() + later))).not.toBe('active');
        }
      }),
    );
  });
});

it('a key that is expired or revoked cannot be rotated; a disabled one can', () => {
  const now = new Date();
  expect(whyDead({ expiresAt: now }, now)).toContain('expired');
  expect(whyDead({ revokedAt: now }, now)).toContain('revoked');
  expect(whyDead({ disabledAt: now }, now)).toBeNull();
  expect(whyDead({}, now)).toBeNull();
});

describe('rotations with grace', () => {
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

  it('leave two secrets alive at the most, the newest always, one before it no longer than its grace', () => {
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

  it('without grace leave the newest alone, from that very instant', () => {
    fc.assert(
      fc.property(rotations, (steps) => {
        const { secrets, now } = rotate(steps.map((step) => ({ ...step, grace: 0 })));
        expect(secrets.filter((secret) => isAlive(secret, now))).toEqual([secrets.at(-1)]);
      }),
    );
  });

  it('never outlive the key: whatever the grace, all its secrets are dead at its expiry', () => {
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
    metadata: {},
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
  const refusals: [string, Partial<ApiKeyRecord>][] = [
    ['revoked', { revokedAt: past }],
    ['disabled', { disabledAt: past }],
    ['expired', { expiresAt: past }],
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

  it('names the first thing that is wrong, in the documented order', () => {
    fc.assert(
      fc.property(fc.subarray(refusals), (wrong) => {
        const good = record({ scopes: ['triggers:read'] });
        const bad = wrong.reduce((key, [, fields]) => ({ ...key, ...fields }), good);
        expect(decide(bad, demand, now)).toBe(wrong[0]?.[0] ?? 'valid');
      }),
    );
  });
});

it('an expiry counts whole days of 24 hours from now', () => {
  expect(expiryIn(90, new Date('2024-01-15T10:30:00Z'))).toEqual(new Date('2024-04-14T10:30:00Z'));
  expect(expiryIn(undefined, new Date())).toBeNull();
});
