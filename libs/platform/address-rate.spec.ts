import { expect, it } from '@jest/globals';
import { AddressRate } from './address-rate.js';

let now = 1_000_000;
const rate = (perMinute: number) => new AddressRate(perMinute, () => now);

it('an address has so many a minute, each by itself', () => {
  const three = rate(3);
  expect([1, 2, 3].map(() => three.take('192.0.2.1'))).toEqual([undefined, undefined, undefined]);
  now += 20_500;
  expect(three.take('192.0.2.1')).toBe(40);
  expect(three.take('192.0.2.2')).toBeUndefined();
  expect(three.take(null)).toBeUndefined();
  now += 39_501;
  expect(three.take('192.0.2.1')).toBeUndefined();
});

it('addresses of one IPv6 network of 64 bits are one, however they are written', () => {
  const one = rate(1);
  expect(one.take('2001:db8::1')).toBeUndefined();
  expect(one.take('2001:0db8:0:0:ffff::2')).toBeGreaterThan(0);
  expect(one.take('2001:db8:0:1::1')).toBeUndefined();
});
