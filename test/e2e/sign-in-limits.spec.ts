import { describe, expect, it } from '@jest/globals';
import { readConfig } from '#libs/platform/config.js';
import { startDeployment } from '../support/deployment.js';
import { codeOf, rejection } from '../support/rejection.js';

describe('guessing passwords', () => {
  it('has growing delays, which the responses state, and never locks the account', async () => {
    const own = await startDeployment({ worker: false });
    try {
      const dan = await own.account();
      const signIn = (password: string) => own.client().auth.login({ body: { email: dan.email, password } });
      for (let attempt = 0; attempt < 5; attempt++) expect(await codeOf(signIn('not it'))).toBe('invalid_credentials');
      // Twelve failures of this address for this account, as stored in its row: waiting for them would take minutes.
      await own.sql.query(
        `UPDATE login_delay SET failures = 12, next_attempt_at = now() + interval '30 seconds' WHERE bucket LIKE '% from %'`,
      );
      const refused = await rejection(signIn(dan.password));
      expect(refused.problem).toMatchObject({ status: 429, code: 'too_many_attempts' });
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(25);

      own.advance(31_000);
      await signIn(dan.password);
    } finally {
      await own.stop();
    }
  });

  it('is counted for an IPv6 network of 64 bits as for one address', async () => {
    const own = await startDeployment({ worker: false, env: { TRUST_PROXY: 'loopback' } });
    try {
      const body = { email: 'dan@example.com', password: 'not it' };
      for (const end of ['a:b', '1:2:3', '7']) {
        const headers = { 'x-forwarded-for': `2001:db8:0:5::${end}` };
        expect(await codeOf(own.client({ headers }).auth.login({ body }))).toBe('invalid_credentials');
      }
      const { rows } = await own.sql.query('SELECT failures FROM login_delay');
      expect(rows).toEqual([{ failures: 3 }, { failures: 3 }, { failures: 3 }]);
    } finally {
      await own.stop();
    }
  });
});

describe('registration', () => {
  it.each(['invite', 'closed'])('is rejected with REGISTRATION=%s', async (mode) => {
    const own = await startDeployment({ env: { REGISTRATION: mode }, worker: false });
    try {
      const body = { email: 'grace@example.com', password: 'nine lamps above the quay', name: 'Grace' };
      expect((await rejection(own.client().auth.register({ body }))).problem).toMatchObject({
        status: 403,
        code: 'registration_closed',
      });
    } finally {
      await own.stop();
    }
  });

  it('is by default open on a loopback address, and by invitation on any other', () => {
    const registration = (env: Record<string, string>) =>
      readConfig({ DATABASE_URL: 'postgres://x', KEYLEDGER_SECRET: 'x'.repeat(32), ...env }).registration;
    expect(registration({})).toBe('open');
    expect(registration({ HOST: '::1' })).toBe('open');
    expect(registration({ HOST: '0.0.0.0' })).toBe('invite');
    expect(registration({ HOST: '0.0.0.0', REGISTRATION: 'open' })).toBe('open');
  });
});
