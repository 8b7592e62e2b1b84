import { createPublicKey, createSign, generateKeyPairSync } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import fastifyCookie from '@fastify/cookie';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import Fastify from 'fastify';
import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose';
import { toUuid } from '#libs/contract/ids.js';
import { builtModule } from '../support/built-module.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { codeOf, rejection } from '../support/rejection.js';

const { SigningKeys } = await builtModule<typeof import('#libs/auth/access-tokens.js')>('#libs/auth/access-tokens.js');
const { Passwords } = await builtModule<typeof import('#libs/auth/passwords.js')>('#libs/auth/passwords.js');
const { RefreshCookie } =
  await builtModule<typeof import('#libs/auth/refresh-cookie.js')>('#libs/auth/refresh-cookie.js');
const { Clock } = await builtModule<typeof import('#libs/platform/clock.js')>('#libs/platform/clock.js');
const { Config } = await builtModule<typeof import('#libs/platform/config.js')>('#libs/platform/config.js');

let deployment: Deployment;
let ada: Account;

beforeAll(async () => {
  deployment = await startDeployment();
  ada = await deployment.account();
});

afterAll(() => deployment.stop());

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const whoamiWith = (accessToken: string) => deployment.client({ accessToken }).auth.whoami();

describe('an access token', () => {
  it('has the user, the session and a life of ten minutes, and nothing that could become outdated', () => {
    const claims = decodeJwt(ada.accessToken);
    expect(Object.keys(claims).toSorted()).toEqual(['aud', 'exp', 'iat', 'iss', 'sid', 'sub']);
    expect(claims).toMatchObject({ iss: 'http://keyledger.test', aud: 'keyledger', sub: ada.userId });
    expect(claims.exp! - claims.iat!).toBe(600);
    expect(decodeProtectedHeader(ada.accessToken)).toEqual({ alg: 'EdDSA', kid: expect.any(String), typ: 'at+jwt' });
  });

  it('is rejected after ten minutes', async () => {
    await whoamiWith(ada.accessToken);
    deployment.advance(601_000);
    expect(await codeOf(whoamiWith(ada.accessToken))).toBe('invalid_token');
    deployment.advance(-601_000);
  });

  it('cannot choose its own algorithm, key, issuer or audience', async () => {
    const { kid } = decodeProtectedHeader(ada.accessToken);
    const claims = decodeJwt(ada.accessToken);
    const payload = ada.accessToken.split('.')[1]!;
    const signing = deployment.api.get(SigningKeys, { strict: false }).newest.key;
    const ours = createPublicKey(signing).export({ type: 'spki', format: 'pem' });
    const stranger = generateKeyPairSync('ed25519').privateKey;
    await deployment.sql.query("INSERT INTO signing_key (id, private_key, created_at) VALUES ('planted', $1, now())", [
      stranger.export({ type: 'pkcs8', format: 'der' }),
    ]);
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    const signedBy = (header: object) => `${encode(header)}.${payload}`;

    const forged = {
      unsigned: `${signedBy({ alg: 'none', typ: 'at+jwt', kid })}.`,
      'with our public key as an HMAC secret': await new SignJWT(claims)
        .setProtectedHeader({ alg: 'HS256', kid, typ: 'at+jwt' })
        .sign(Buffer.from(ours)),
      'by RSA': `${signedBy({ alg: 'RS256', typ: 'at+jwt', kid })}.${createSign('sha256')
        .update(signedBy({ alg: 'RS256', typ: 'at+jwt', kid }))
        .sign(rsa, 'base64url')}`,
      "by a stranger's key": await new SignJWT(claims)
        .setProtectedHeader({ alg: 'EdDSA', kid, typ: 'at+jwt' })
        .sign(stranger),
      'by a key that was written into the database': await new SignJWT(claims)
        .setProtectedHeader({ alg: 'EdDSA', kid: 'planted', typ: 'at+jwt' })
        .sign(stranger),
      'by a key we never had': await new SignJWT(claims)
        .setProtectedHeader({ alg: 'EdDSA', kid: 'unknown', typ: 'at+jwt' })
        .sign(stranger),
      'with another type': `${encode({ alg: 'EdDSA', typ: 'JWT', kid })}.${payload}.${ada.accessToken.split('.')[2]}`,
      'with changed claims': `${ada.accessToken.split('.')[0]}.${encode({ ...claims, exp: claims.exp! + 1 })}.${ada.accessToken.split('.')[2]}`,
    };
    for (const [how, token] of Object.entries(forged)) {
      expect([how, await codeOf(whoamiWith(token))]).toEqual([how, 'invalid_token']);
    }
    await deployment.sql.query("DELETE FROM signing_key WHERE id = 'planted'");
  });

  it('with an unknown key id costs one statement for many concurrent tokens', async () => {
    const stranger = generateKeyPairSync('ed25519').privateKey;
    const unknown = (kid: string) =>
      new SignJWT(decodeJwt(ada.accessToken)).setProtectedHeader({ alg: 'EdDSA', kid, typ: 'at+jwt' }).sign(stranger);
    // The last reload may be less than a second ago.
    await sleep(1_100);
    const lock = await deployment.sql.connect();
    await lock.query('BEGIN; LOCK TABLE signing_key IN ACCESS EXCLUSIVE MODE');
    const calls = Array.from({ length: 30 }, async (_, index) => codeOf(whoamiWith(await unknown(`unknown-${index}`))));
    const waiting = async () =>
      (
        await deployment.sql.query(
          "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%signing_key%'",
        )
      ).rowCount;
    await eventually(waiting, (count) => count! > 0);
    await sleep(300);
    expect(await waiting()).toBe(1);
    await lock.query('ROLLBACK');
    lock.release();
    expect(new Set(await Promise.all(calls))).toEqual(new Set(['invalid_token']));
  });

  it('ends with its session', async () => {
    const carol = await deployment.account();
    await carol.client.auth.whoami();
    await carol.client.auth.logout();
    expect(await codeOf(carol.client.auth.whoami())).toBe('invalid_token');
    expect(await codeOf(deployment.client().auth.refresh({ body: { refresh_token: carol.refreshToken } }))).toBe(
      'invalid_refresh_token',
    );
  });

  it('is valid on every node with the same database and secret, and the private key is stored encrypted', async () => {
    const { rows } = await deployment.sql.query<{ private_key: Buffer }>('SELECT private_key FROM signing_key');
    expect(rows).toHaveLength(1);
    // The PKCS #8 header of an Ed25519 key.
    expect(rows[0]!.private_key.toString('hex')).not.toContain('302e020100300506032b6570');
  });
});

describe('a refresh token', () => {
  const refresh = (token: string) => deployment.client().auth.refresh({ body: { refresh_token: token } });

  it('gives the next pair of tokens, which works', async () => {
    const dan = await deployment.account();
    const next = await refresh(dan.refreshToken);
    expect(next.refresh_token!).not.toBe(dan.refreshToken);
    await whoamiWith(next.access_token);
    expect((await refresh(next.refresh_token!)).token_type).toBe('Bearer');
  });

  it('gives the same successor to two tabs that refresh at once', async () => {
    const dan = await deployment.account();
    const responses = await Promise.all([
      refresh(dan.refreshToken),
      refresh(dan.refreshToken),
      refresh(dan.refreshToken),
    ]);
    expect(new Set(responses.map((response) => response.refresh_token)).size).toBe(1);
    for (const response of responses) await whoamiWith(response.access_token);
  });

  it('ends the whole session when it is used again later, which is recorded', async () => {
    const eve = await deployment.account();
    const next = await refresh(eve.refreshToken);
    deployment.advance(11_000);
    expect(await codeOf(refresh(eve.refreshToken))).toBe('invalid_refresh_token');
    expect(await codeOf(refresh(next.refresh_token!))).toBe('invalid_refresh_token');
    expect(await codeOf(whoamiWith(next.access_token))).toBe('invalid_token');
    deployment.advance(-11_000);

    const again = await deployment.client().auth.login({ body: { email: eve.email, password: eve.password } });
    const auditLog = await eventually(
      () =>
        deployment
          .client({ accessToken: again.access_token })
          .audit.listEvents({ query: { type: 'user.refresh_token_reused' } }),
      (response) => response.data.length > 0,
    );
    expect(auditLog.data).toHaveLength(1);
  });

  it('ends with its session after thirty days', async () => {
    const dan = await deployment.account();
    deployment.advance(30 * 86_400_000 + 1_000);
    expect(await codeOf(refresh(dan.refreshToken))).toBe('invalid_refresh_token');
    deployment.advance(-30 * 86_400_000 - 1_000);
  });

  it('is stored only as a hash, and its successor is not stored', async () => {
    const dan = await deployment.account();
    const next = await refresh(dan.refreshToken);
    const { rows } = await deployment.sql.query<{ everything: string }>(
      `SELECT string_agg(to_jsonb(t)::text || encode(t.hash, 'base64') || encode(t.hash, 'escape'), ' ') AS everything FROM refresh_token t`,
    );
    for (const token of [dan.refreshToken, next.refresh_token!]) {
      expect(rows[0]!.everything).not.toContain(token);
      expect(rows[0]!.everything).not.toContain(token.slice(3));
    }
  });
});

describe('a session that keeps its refresh token in a cookie', () => {
  const post = (path: string, body: string, headers: Record<string, string>) =>
    fetch(`${deployment.url}/api/v1/auth/${path}`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', ...headers },
    });
  const own = { origin: 'http://keyledger.test' };

  async function signIn() {
    const { email, password } = await deployment.account();
    const response = await post('login', JSON.stringify({ email, password, session: 'cookie' }), own);
    const cookie = response.headers.get('set-cookie')!;
    return {
      tokens: (await response.json()) as { access_token: string },
      attributes: cookie,
      cookie: cookie.split(';')[0]!,
    };
  }

  it('hides it from scripts and from other paths', async () => {
    const { tokens, attributes } = await signIn();
    expect(Object.keys(tokens).toSorted()).toEqual(['access_token', 'expires_in', 'token_type']);
    expect(attributes).toMatch(/; Path=\/api\/v1\/auth; Expires=[^;]+; HttpOnly; SameSite=Strict$/);
  });

  it('is refreshed with the cookie, which is replaced, and ends with the sign-out, which clears the cookie', async () => {
    const { cookie } = await signIn();
    const refreshed = await post('refresh', '{}', { ...own, cookie });
    const next = refreshed.headers.get('set-cookie')!.split(';')[0]!;
    expect(next).not.toBe(cookie);
    const tokens = (await refreshed.json()) as { access_token: string; refresh_token?: string };
    expect(tokens.refresh_token).toBeUndefined();
    await whoamiWith(tokens.access_token);

    const out = await post('logout', '{}', { authorization: `Bearer ${tokens.access_token}` });
    expect(out.headers.get('set-cookie')).toContain('keyledger_refresh=; ');
    expect((await post('refresh', '{}', { ...own, cookie: next })).status).toBe(401);
  });

  it.each([
    ['of another site', { origin: 'http://evil.test' }, 403],
    ['without an origin', {}, 403],
    ['of a form', { ...own, 'content-type': 'text/plain' }, 415],
  ])('is not refreshed by a request %s', async (_what, headers, status) => {
    const { cookie } = await signIn();
    expect((await post('refresh', '{}', { cookie, ...headers })).status).toBe(status);
    expect((await post('refresh', '{}', { cookie, ...own })).status).toBe(200);
  });
});

describe('over https', () => {
  it('the refresh cookie belongs to this host: another host of the site can neither set nor replace it', async () => {
    const { settings } = deployment.api.get(Config, { strict: false });
    const config = new Config({ ...settings, PUBLIC_URL: 'https://keys.example.com' });
    const cookie = new RefreshCookie(config, deployment.api.get(Clock, { strict: false }));
    const server = Fastify();
    await server.register(fastifyCookie);
    server.get('/set', (_request, reply) => {
      cookie.set(reply, 'rt_token');
      return '';
    });
    server.post('/read', (request) => cookie.read(request) ?? 'none');
    const { headers } = await server.inject('/set');
    expect(headers['set-cookie']).toMatch(
      /^__Host-keyledger_refresh=rt_token; Path=\/; Expires=[^;]+; HttpOnly; Secure; SameSite=Strict$/,
    );
    const read = async (name: string) => {
      const given = { cookie: `${name}=rt_planted`, origin: 'https://keys.example.com' };
      return (await server.inject({ method: 'POST', url: '/read', headers: given, payload: {} })).body;
    };
    expect(await read('keyledger_refresh')).toBe('none');
    expect(await read('__Host-keyledger_refresh')).toBe('rt_planted');
    await server.close();
  });
});

describe('the sessions of an account', () => {
  const signIn = async (account: Account) => {
    const { email, password } = account;
    const tokens = await deployment.client().auth.login({ body: { email, password } });
    return { ...tokens, client: deployment.client({ accessToken: tokens.access_token }) };
  };

  it('are listed with the current one marked, and each can be ended from another', async () => {
    const dan = await deployment.account();
    const other = await signIn(dan);
    const { data } = await dan.client.auth.listSessions();
    expect(data.map(({ current }) => current)).toEqual([false, true]);
    expect(data[0]).toMatchObject({ ip: '127.0.0.1', user_agent: expect.any(String) });

    await dan.client.auth.endSession({ params: { id: data[0]!.id } });
    expect(await codeOf(other.client.auth.whoami())).toBe('invalid_token');
    expect(await codeOf(deployment.client().auth.refresh({ body: { refresh_token: other.refresh_token! } }))).toBe(
      'invalid_refresh_token',
    );
    expect((await dan.client.auth.listSessions()).total).toBe(1);
  });

  it('end with a change of the password, except the one that changed it', async () => {
    const dan = await deployment.account();
    const other = await signIn(dan);
    const body = { current_password: dan.password, new_password: 'seven kites over the marsh' };
    await dan.client.auth.changePassword({ body });
    expect(await codeOf(other.client.auth.whoami())).toBe('invalid_token');
    await dan.client.auth.whoami();
    expect(await codeOf(signIn(dan))).toBe('invalid_credentials');
    await signIn({ ...dan, password: body.new_password });
    const auditLog = await eventually(
      () => dan.client.audit.listEvents({ query: { type: 'user.password_changed' } }),
      (response) => response.data.length > 0,
    );
    expect(auditLog.data[0]!.event.data['ended_session_ids']).toHaveLength(1);
  });

  it('end with it however many there are, and so do open password reset links', async () => {
    const carol = await deployment.account();
    const { rows } = await deployment.sql.query<{ id: string }>(
      `INSERT INTO session (id, user_id, created_at, expires_at)
       SELECT gen_random_uuid(), $1, now(), now() + interval '1 day' FROM generate_series(1, 2000) RETURNING id`,
      [toUuid(carol.userId)],
    );
    await carol.client.auth.changePassword({
      body: { current_password: carol.password, new_password: 'seven kites over the marsh' },
    });
    expect((await carol.client.auth.listSessions()).total).toBe(1);
    const changed = await eventually(
      () => carol.client.audit.listEvents({ query: { type: 'user.password_changed' } }),
      ({ data }) => data.length > 0,
    );
    const told = changed.data[0]!.event.data as unknown as { ended_sessions: number; ended_session_ids: string[] };
    expect(told.ended_sessions).toBe(rows.length);
    expect(told.ended_session_ids).toHaveLength(100);
  });

  it('do not end again once they have expired: no event and no count says so', async () => {
    const dan = await deployment.account();
    await signIn(dan);
    await signIn(dan);
    const { client } = await signIn(dan);
    const [current, live, expired] = (await dan.client.auth.listSessions()).data;
    await deployment.sql.query(
      `UPDATE session SET expires_at = now() - interval '1 minute' WHERE user_id = $1 AND id <> ALL($2)`,
      [toUuid(dan.userId), [current!, live!].map(({ id }) => toUuid(id))],
    );
    for (const id of [expired!.id, live!.id, live!.id]) await client.auth.endSession({ params: { id } });
    await client.auth.changePassword({
      body: { current_password: dan.password, new_password: 'seven kites over the marsh' },
    });
    const query = { type: 'user.session_ended,user.password_changed' };
    const { data } = await eventually(
      () => client.audit.listEvents({ query }),
      (response) => response.data.some(({ event }) => event.type === 'user.password_changed'),
    );
    expect(data.map(({ event: { data } }) => [data['session_id'], data['ended_sessions']])).toEqual([
      [undefined, 0],
      [live!.id, undefined],
    ]);
  });

  it('cannot begin with a sign-in that was still running with the old password', async () => {
    const carol = await deployment.account();
    const passwords = deployment.api.get(Passwords, { strict: false });
    const matches = jest.spyOn(passwords, 'matches').mockImplementationOnce(async () => {
      // The password matches, and is changed at this moment.
      matches.mockRestore();
      await carol.client.auth.changePassword({
        body: { current_password: carol.password, new_password: 'seven kites over the marsh' },
      });
      return true;
    });
    const late = deployment.client().auth.login({ body: { email: carol.email, password: carol.password } });
    expect(await codeOf(late)).toBe('invalid_credentials');
    expect((await carol.client.auth.listSessions()).total).toBe(1);
  });

  it('do not change when the current password is wrong or the new one is common', async () => {
    const dan = await deployment.account();
    const change = (current_password: string, new_password: string) =>
      codeOf(dan.client.auth.changePassword({ body: { current_password, new_password } }));
    expect(await change('not it', 'seven kites over the marsh')).toBe('invalid_credentials');
    expect(await change(dan.password, 'password1234')).toBe('invalid_request');
    expect((await signIn(dan)).token_type).toBe('Bearer');
  });
});

describe('signing in', () => {
  it('gives the same response for a wrong password and an unknown account', async () => {
    const wrong = await rejection(deployment.client().auth.login({ body: { email: ada.email, password: 'not it' } }));
    const unknown = await rejection(
      deployment.client().auth.login({ body: { email: 'nobody@example.com', password: 'not it' } }),
    );
    const comparable = ({ request_id: _, ...rest }: typeof wrong.problem) => rest;
    expect(comparable(wrong.problem)).toEqual(comparable(unknown.problem));
    expect(wrong.problem).toMatchObject({ status: 401, code: 'invalid_credentials' });
  });

  it('records successes and failures in the audit log of the account', async () => {
    const dan = await deployment.account();
    await codeOf(deployment.client().auth.login({ body: { email: dan.email, password: 'not it' } }));
    const auditLog = await eventually(
      () => dan.client.audit.listEvents({ query: { type: 'user.login_failed' } }),
      (response) => response.data.length > 0,
    );
    expect(auditLog.data[0]!.event).toMatchObject({
      subject: dan.userId,
      data: { actor: { type: 'anonymous' }, ip: '127.0.0.1' },
    });
  });

  it('accepts the email in any case', async () => {
    const body = { email: ada.email.toUpperCase(), password: ada.password };
    expect((await deployment.client().auth.login({ body })).expires_in).toBe(600);
  });
});

describe('registration', () => {
  const register = (target: Deployment, body: { email: string; password: string; name: string }) =>
    target.client().auth.register({ body });
  const good = { email: 'grace@example.com', password: 'nine lamps above the quay', name: 'Grace' };

  it.each([
    ['too short', 'short pass!', 'at least 12'],
    ['too long', 'x'.repeat(129), 'at most 128'],
    ['common', 'password1234', 'too easy'],
    ['a walk over the keyboard', 'qwertyuiop[]', 'too easy'],
    ['a repetition', 'aaaaaaaaaaaaaa', 'too easy'],
    ['the email itself', 'grace@example.com', 'too easy'],
  ])('rejects a password that is %s', async (_what, password, why) => {
    const refused = await rejection(register(deployment, { ...good, password }));
    expect(refused.problem.code).toBe('invalid_request');
    expect(refused.problem.errors).toEqual([
      { location: 'body.password', message: expect.stringContaining(why) as unknown },
    ]);
  });

  it('creates an account with its personal organization, once for each email', async () => {
    const { user, organization } = await register(deployment, good);
    const { access_token } = await deployment
      .client()
      .auth.login({ body: { email: good.email, password: good.password } });
    const mine = await deployment.client({ accessToken: access_token }).organizations.list();
    expect(mine).toEqual({ data: [organization], total: 1, next_cursor: null });
    expect(organization).toMatchObject({ personal: true, role: 'owner' });
    expect(user.email).toBe('grace@example.com');
    expect(await codeOf(register(deployment, { ...good, email: 'GRACE@example.com' }))).toBe('email_taken');
    const { rows } = await deployment.sql.query('SELECT password_hash FROM user_account WHERE email = $1', [
      good.email,
    ]);
    expect(rows[0]).toEqual({ password_hash: expect.stringMatching(/^\$argon2id\$/) });
  });
});
