import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { Proxies } from './proxies.js';
import { UnknownProxies } from './unknown-proxies.js';

const MINUTE = 60_000;
const warnings: string[] = [];
let now = 0;

beforeEach(() => {
  warnings.length = 0;
  Logger.overrideLogger({ log: () => undefined, error: () => undefined, warn: (line: string) => warnings.push(line) });
});

afterEach(() => Logger.overrideLogger(false));

it('warns at once of an unknown proxy by its address and the setting, then at most every five minutes', () => {
  const unknown = new UnknownProxies(() => now);
  unknown.note('gateway', '10.0.0.5');
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toMatch(/10\.0\.0\.5.*TRUST_PROXY/);

  for (let count = 0; count < 1_000; count++) unknown.note('api', `10.0.1.${count % 250}`);
  now += 5 * MINUTE - 1;
  unknown.note('api', '10.0.0.6');
  expect(warnings).toHaveLength(1);
  now += 1;
  unknown.note('api', '10.0.0.6');
  expect(warnings).toHaveLength(2);
  // A line names only some, however many there were.
  expect(warnings[1]).toContain('10.0.1.0');
  expect(warnings[1]!.length).toBeLessThan(600);
});

it.each([
  ['full', '203.0.113.77,'],
  ['network', '203.0.113.0/24,'],
  ['none', 'a proxy,'],
] as const)('with RECORD_CLIENT_ADDRESS=%s a peer, which may be a client, is named as %s', (mode, named) => {
  const proxies = new Proxies(['10.0.0.0/8'], mode);
  proxies.noteUnknown('api', '::ffff:203.0.113.77');
  expect(warnings[0]).toContain(`come through ${mode === 'full' ? '::ffff:' : ''}${named}`);
  // A proxy that TRUST_PROXY names is not a client.
  expect(proxies.loggedAddressOf('10.0.0.5')).toBe('10.0.0.5');
});

it('the warning state ends after a quarter of an hour without such a request', () => {
  const unknown = new UnknownProxies(() => now);
  expect(unknown.areActive).toBe(false);
  unknown.note('api', '10.0.0.5');
  expect(unknown.areActive).toBe(true);
  now += 15 * MINUTE;
  expect(unknown.areActive).toBe(false);
});
