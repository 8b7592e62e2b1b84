import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { expiryIn, statusOf, whyDead } from './api-key.js';

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

it('an expiry counts whole days of 24 hours from now', () => {
  expect(expiryIn(90, new Date('2024-01-15T10:30:00Z'))).toEqual(new Date('2024-04-14T10:30:00Z'));
  expect(expiryIn(undefined, new Date())).toBeNull();
});
