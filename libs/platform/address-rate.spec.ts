import { expect, it } from '@jest/globals';
import { AddressRate } from './address-rate.js';

let now = 1_000_000;
const rate = (perMinute: number) => new AddressRate(perMinute, () => now);

it('each address has its own number of attempts a minute', () => {
  const three = rate(3);
  expect([1, 2, 3].map(() => three.take('192.0.2.1'))).toEqual([undefined, undefined, undefined]);
  now += 20_500;
  expect(three.take('192.0.2.1')).toBe(40);
  expect(three.take('192.0.2.2')).toBeUndefined();
  expect(three.take(null)).toBeUndefined();
  now += 39_501;
  expect(three.take('192.0.2.1')).toBeUndefined();
});

it('IPv6 addresses of one /64 network share one count, however they are written', () => {
  const one = rate(1);
  expect(one.take('2001:db8::1')).toBeUndefined();
  expect(one.take('2001:0db8:0:0:ffff::2')).toBeGreaterThan(0);
  expect(one.take('2001:db8:0:1::1')).toBeUndefined();
});
