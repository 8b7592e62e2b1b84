import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Instant } from './instants.js';

const messageOf = (text: unknown) =>
  Instant.safeParse(text)
    .error?.issues.map(({ message }) => message)
    .join();

describe('an instant', () => {
  it('is the same in every time zone', () => {
    const offsets = fc.tuple(fc.constantFrom('+', '-'), fc.nat(23), fc.nat(59));
    const dates = fc.date({ min: new Date('0002-01-01'), max: new Date('9998-12-31'), noInvalidDate: true });
    const two = (number: number) => String(number).padStart(2, '0');
    fc.assert(
      fc.property(dates, offsets, (date, [sign, hours, minutes]) => {
        const shift = (sign === '+' ? 1 : -1) * (hours * 60 + minutes) * 60_000;
        const local = new Date(date.getTime() + shift).toISOString().slice(0, -1);
        expect(Instant.parse(`${local}${sign}${two(hours)}:${two(minutes)}`)).toBe(date.toISOString());
      }),
    );
  });

  it.each([
    '0000-01-01T00:00:00Z',
    '0001-01-01T00:00:00+00:01',
    '9999-12-31T23:59:59-00:01',
    '0000-12-31T23:59:59.999Z',
  ])('%s is outside the range that can be stored', (text) => {
    expect(messageOf(text)).toBe('must lie within the years 1 to 9999 of UTC');
  });

  it.each([
    '10000-01-01T00:00:00Z',
    '+012026-01-01T00:00:00Z',
    '2026-02-30T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01T00:00:60Z',
    '2026-01-01T00:00:00+24:00',
    '2026-01-01T00:00:00',
    '2026-01-01',
    'now',
    'infinity',
    '',
    1,
    null,
  ])('is not valid as %j', (value) => {
    expect(messageOf(value)).toMatch(/^must be an instant such as [^;]*$/);
  });

  it.each(['2026-01-01T00:00:00 02:00', '2026-01-01T00:00:00.123 0200'])(
    '%s gets a hint that + must be encoded in a query',
    (text) => {
      expect(messageOf(text)).toContain('write %2B for +');
    },
  );
});
