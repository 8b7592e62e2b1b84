import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startDeployment, type Deployment } from '../support/deployment.js';
import { codeOf, rejection } from '../support/rejection.js';

/* Each new password is rated and hashed, so the number of attempts is limited. */

const PER_MINUTE = 200;
/** Look-alike characters, keyboard patterns and years, which take zxcvbn longest. */
const SLOW = '4@8({[<369&#!1/|0$5+7%2/<'.repeat(6).slice(0, 128);

let deployment: Deployment;
let serial = 0;

beforeAll(async () => {
  deployment = await startDeployment({
    env: { TRUST_PROXY: 'loopback', REGISTRATIONS_PER_MINUTE: String(PER_MINUTE) },
    worker: false,
  });
});

afterAll(() => deployment.stop());

const register = (address: string, password = 'nine lamps above the quay') =>
  deployment
    .client({ headers: { 'x-forwarded-for': address } })
    .auth.register({ body: { email: `user${++serial}@example.com`, password, name: 'Grace' } });

describe('a long password', () => {
  it('is rated outside the thread that serves requests', async () => {
    // Run once before, so that loading and compiling code is not measured.
    await rejection(register('192.0.2.1', 'password'.repeat(16)));
    const before = process.threadCpuUsage();
    await Promise.all(Array.from({ length: 10 }, () => register('192.0.2.1', SLOW)));
    const { user } = process.threadCpuUsage(before);
    // Includes the client and all work of the server; the ratings alone would take seconds.
    expect(user / 1_000 / 10).toBeLessThan(80);
  });

  it('is rejected if it is easy to guess, and otherwise accepted', async () => {
    expect(await codeOf(register('192.0.2.2', 'password'.repeat(16)))).toBe('invalid_request');
    expect(await codeOf(register('192.0.2.2', 'a'.repeat(128)))).toBe('invalid_request');
    await register('192.0.2.2', 'nine lamps above the quay '.repeat(4));
  });
});

it('a new password is not rated before the current one is verified', async () => {
  const account = await deployment.account();
  const change = (current: string, next: string) =>
    account.client.auth.changePassword({ body: { current_password: current, new_password: next } });
  expect(await codeOf(change('not it at all', SLOW))).toBe('invalid_credentials');
  expect(await codeOf(change(account.password, 'passwordpassword'))).toBe('invalid_request');
  await change(account.password, 'eleven boats below the bridge');
});

describe('one address', () => {
  it('creates a limited number of accounts a minute, successful or not, and then gets Retry-After', async () => {
    const address = '198.51.100.1';
    for (let tried = 0; tried < PER_MINUTE; tried += 20) {
      await Promise.all(Array.from({ length: 20 }, () => rejection(register(address, 'passwordpassword'))));
    }
    const refused = await rejection(register(address));
    expect(refused.problem).toMatchObject({ status: 429, code: 'too_many_attempts' });
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    const reset = deployment.client({ headers: { 'x-forwarded-for': address } }).auth.resetPassword;
    expect(await codeOf(reset({ body: { token: 'reset_x', new_password: SLOW } }))).toBe('too_many_attempts');

    await register('198.51.100.2');
    await sleep(1);
    deployment.advance(61_000);
    await register(address);
  });

  it('of IPv6 counts as its network, because a subscriber has a network', async () => {
    for (let tried = 0; tried < PER_MINUTE; tried += 20) {
      const some = Array.from({ length: 20 }, (_, at) =>
        rejection(register(`2001:db8:1:2::${tried + at}`, 'passwordpassword')),
      );
      await Promise.all(some);
    }
    expect(await codeOf(register('2001:db8:1:2:ffff::1'))).toBe('too_many_attempts');
    await register('2001:db8:1:3::1');
  });
});
