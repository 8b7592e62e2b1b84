import { describe, expect, it } from '@jest/globals';
import { betterAuthKey, fromBetterAuth } from './better-auth.js';

const HASH = 'sbTXFIIa_UVcsTcJi6bscgjgxF4yvp4vIGV8cBCKheU';
const NOW = new Date('2026-06-01T00:00:00Z');
const columns = {
  id: 'k1',
  key: HASH,
  name: 'Checkout',
  start: 'acme_S',
  referenceId: 'u1',
  enabled: true,
  expiresAt: null as string | null,
  rateLimitEnabled: false,
  rateLimitTimeWindow: 86_400_000,
  rateLimitMax: 10,
  remaining: null as number | null,
  refillInterval: null as number | null,
  refillAmount: null as number | null,
  permissions: '{"triggers":["read"]}' as string | null,
  metadata: 'null' as string | null,
};
const mapped = (changed: Partial<typeof columns>) => fromBetterAuth(betterAuthKey({ ...columns, ...changed }), {}, NOW);

describe('a key of Better Auth', () => {
  it('has its fields, whatever the adapter calls the columns', () => {
    const { referenceId, ...rest } = columns;
    const snake = Object.entries({ ...rest, userId: referenceId }).map(([name, value]) => [
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      value,
    ]);
    const key = fromBetterAuth(betterAuthKey(Object.fromEntries(snake) as object), {}, NOW);
    expect(key).toEqual(mapped({}));
    expect(key).toMatchObject({
      place: 'key k1',
      row: {
        hash: HASH,
        name: 'Checkout',
        prefix: 'acme_S',
        external_id: 'u1',
        scopes: ['triggers:read'],
        metadata: {},
      },
    });
  });

  it('expires when it says so, in UTC if it names no time zone', () => {
    for (const [expiresAt, iso] of [
      ['2026-06-02T00:00:00+02:00', '2026-06-01T22:00:00.000Z'],
      ['2026-06-02T00:00:00.5', '2026-06-02T00:00:00.500Z'],
    ] as const) {
      expect(mapped({ expiresAt })).toMatchObject({ row: { expires_at: iso } });
    }
    expect(mapped({ expiresAt: '2026-05-31T23:59:59' })).toMatchObject({ reason: 'has expired', ended: true });
  });

  it('has metadata that was encoded twice', () => {
    expect(mapped({ metadata: JSON.stringify('{"plan":"pro"}') })).toMatchObject({
      row: { metadata: { plan: 'pro' } },
    });
  });

  it.each([
    [{ remaining: 0 }, 'has no uses left', true],
    [{ remaining: 0, refillAmount: 5 }, /^has a number of uses/, false],
    [{ key: 'acme_SFxJNCWvlgZExfXawOipnAckxIuJdEdXGtk' }, /^has no SHA-256/, false],
    [{ permissions: null }, /^has no permissions/, false],
    [{ permissions: '["triggers:read"]' }, /^has permissions that are no lists/, false],
    [{ permissions: '{"triggers":' }, /^has permissions that are no lists/, false],
    [{ metadata: '[1]' }, 'has metadata that is no object', false],
  ])('is left out if it cannot be the same here: %j', (changed, reason, ended) => {
    expect(mapped(changed)).toEqual({
      place: 'key k1',
      reason: typeof reason === 'string' ? reason : expect.stringMatching(reason),
      ended,
    });
  });

  it('is not read from a table without a column that may restrict it', () => {
    for (const name of ['enabled', 'expiresAt', 'remaining', 'rateLimitMax'] as const) {
      const rest = Object.fromEntries(Object.entries(columns).filter(([column]) => column !== name));
      expect(() => betterAuthKey(rest)).toThrow(name.toLowerCase());
    }
  });
});
