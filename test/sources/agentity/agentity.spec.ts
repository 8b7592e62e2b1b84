import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startDeployment, type Account, type Deployment } from '../../support/deployment.js';
import { outcomeOf } from '../../support/rejection.js';
import { curl, withCurl } from '../curl.js';
import { plainBlocksOf, readDocument, replaced, sha256Of, shapeOf } from '../document.js';
import { replacements, type Real } from './replacements.js';

const text = await readDocument('agentity/agentity.txt');
const [create, created, list, listed, remove, removed] = plainBlocksOf(text).map((block) => block.text);

let deployment: Deployment;
/** Each test has a new account, because each account has its own nicknames. */
let ada: Account;

beforeAll(async () => {
  deployment = await startDeployment({ worker: false });
});

afterAll(() => deployment.stop());

function documented(command: string | undefined, real: Omit<Real, 'host'>) {
  return curl(replaced(command!, replacements({ host: deployment.url, ...real })));
}

interface Created {
  readonly id: number;
  readonly nickname: string;
  readonly key: string;
  readonly createdAt: string;
  readonly updatedAt: string;
}

async function createdFor(account: Account): Promise<Created> {
  const { status, body } = await documented(create, account);
  expect(status).toBe(201);
  return body as unknown as Created;
}

/** Sends a request that no command of the document makes. */
async function call(method: string, path: string, headers: Record<string, string>, body?: object) {
  const response = await fetch(`${deployment.url}/auth/${path}`, {
    method,
    headers: { ...headers, ...(body && { 'Content-Type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  });
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Record<string, unknown>,
  };
}

const bearer = (credential: string) => ({ Authorization: `Bearer ${credential}` });
const post = (account: Account, body: object) => call('POST', 'api-keys', bearer(account.accessToken), body);
const keysOf = async (account: Account) =>
  (await call('GET', 'api-keys', bearer(account.accessToken))).body['apiKeys'] as Created[];
const whoami = (key: string) => outcomeOf(deployment.client({ apiKey: key }).auth.whoami());
/** A key as the native API returns it. */
const native = async (account: Account, { nickname }: Created) =>
  (await account.client.apiKeys.list({ query: { search: nickname } })).data[0]!;

describe('the copy', () => {
  it('is the published document, byte for byte', () => {
    expect(sha256Of(text)).toBe('106ffd552a433d8290734d2577ca74a568354b098442d0a9e127e08e38ce97aa');
  });

  it('has these commands and answers and no other: each of them is run or compared below', () => {
    expect(plainBlocksOf(text).map(({ language, text }) => `${language}: ${text.split('\n', 1)[0]}`)).toEqual([
      String.raw`bash: curl -X POST https://api.agentity.to/auth/api-keys \ `.trim(),
      'json: {',
      String.raw`bash: curl -X GET https://api.agentity.to/auth/api-keys \ `.trim(),
      'json: {',
      String.raw`bash: curl -X DELETE https://api.agentity.to/auth/api-keys/42 \ `.trim(),
      'json: {',
    ]);
    const commands = [create, list, remove].join('\n');
    const left = replacements({ host: '' }).reduce((rest, [printed]) => rest.replaceAll(printed, ''), commands);
    expect(left).not.toMatch(/https?:|[<>]|\d{2}/);
  });
});

describe('signing in', () => {
  it('with email and password gives an access token that the key endpoints take', async () => {
    ada = await deployment.account();
    const { status, body } = await call('POST', 'login', {}, { email: ada.email, password: ada.password });
    expect(status).toBe(200);
    expect(Object.keys(body)).toEqual(['accessToken']);
    expect((await call('GET', 'api-keys', bearer(body['accessToken'] as string))).status).toBe(200);
  });

  it('with a wrong password, or of nobody, is refused with a message', async () => {
    ada = await deployment.account();
    for (const email of [ada.email, 'nobody@example.com']) {
      const { status, body } = await call('POST', 'login', {}, { email, password: 'not this one' });
      expect(status).toBe(401);
      expect(body).toEqual({ message: 'Email or password is wrong' });
    }
  });
});

withCurl('creating a key', () => {
  it('answers 201 and the document’s fields, and no other', async () => {
    ada = await deployment.account();
    const answer = await createdFor(ada);
    expect(shapeOf(answer)).toEqual(shapeOf(JSON.parse(created!)));
    expect(answer).toMatchObject({ nickname: 'production-agent', updatedAt: answer.createdAt });
    expect(Number.isSafeInteger(answer.id)).toBe(true);
    expect(answer.key).toMatch(/^agk_live_[0-9A-Za-z]{32}$/);
    expect(await whoami(answer.key)).toBe('done');
  });

  it('refuses a nickname that a live key of the account has, and takes one that is free again', async () => {
    ada = await deployment.account();
    const bob = await deployment.account();
    const { id } = await createdFor(ada);
    const again = await documented(create, ada);
    expect(again.status).toBe(409);
    expect(again.body).toEqual({ message: expect.stringContaining('name') });
    expect((await documented(create, bob)).status).toBe(201);
    await documented(remove, { ...ada, id });
    expect((await documented(create, ada)).status).toBe(201);
  });

  it('gives a nickname once, also to those who ask for it at the same time', async () => {
    ada = await deployment.account();
    const answers = await Promise.all(Array.from({ length: 6 }, () => post(ada, { nickname: 'wanted' })));
    expect(answers.map(({ status }) => String(status)).toSorted()).toEqual(['201', ...Array<string>(5).fill('409')]);
  });

  it('gives it the scopes of the application and nothing that is built in', async () => {
    ada = await deployment.account();
    const made = await createdFor(ada);
    const { scopes, environment, organization_id: organizationId } = await native(ada, made);
    expect(scopes).toEqual(['triggers:read', 'triggers:write', 'events:read', 'agents:read']);
    expect({ environment, organizationId }).toEqual({ environment: 'live', organizationId: ada.organizationId });
  });

  it('gives a key that keeps its beginning and its number when it is rotated', async () => {
    ada = await deployment.account();
    const made = await createdFor(ada);
    const { id } = await native(ada, made);
    expect((await ada.client.apiKeys.rotate({ params: { id } })).key).toMatch(/^agk_live_[0-9A-Za-z]{32}$/);
    expect((await keysOf(ada)).map((key) => key.id)).toEqual([made.id]);
  });

  it.each([{}, { nickname: '' }, { nickname: 7 }, { nickname: 'x'.repeat(101) }, { nickname: 'x', id: 1 }])(
    'refuses %j and says what is wrong',
    async (body) => {
      ada = await deployment.account();
      const answer = await post(ada, body);
      expect(answer.status).toBe(400);
      expect(answer.body).toEqual({ message: expect.stringMatching(/^body\./) });
    },
  );
});

withCurl('listing keys', () => {
  it('has the document’s fields and no other, in the order of their making, and never the key', async () => {
    ada = await deployment.account();
    const made = await createdFor(ada);
    await post(ada, { nickname: 'staging-agent' });
    const { status, body } = await documented(list, ada);
    expect(status).toBe(200);
    expect(shapeOf(body)).toEqual(shapeOf(JSON.parse(listed!)));
    expect(body).toMatchObject({
      apiKeys: [{ id: made.id, nickname: 'production-agent' }, { nickname: 'staging-agent' }],
    });
    expect(JSON.stringify(body)).not.toContain(made.key.slice(-22));
  });

  it('has all live keys of the account, also disabled ones, and no others', async () => {
    ada = await deployment.account();
    const bob = await deployment.account();
    await createdFor(bob);
    const { client } = ada;
    const named = async (name: string, organization?: string) =>
      (await client.apiKeys.create({ body: { name, ...(organization && { organization_id: organization }) } })).id;
    await client.apiKeys.disable({ params: { id: await named('disabled') } });
    await client.apiKeys.revoke({ params: { id: await named('revoked') } });
    await client.apiKeys.delete({ params: { id: await named('deleted') } });
    await named('of a team', (await client.organizations.create({ body: { name: 'Team' } })).id);
    await named('active');
    expect((await keysOf(ada)).map(({ nickname }) => nickname)).toEqual(['disabled', 'active']);
  });

  it('shows when a key was changed', async () => {
    ada = await deployment.account();
    const made = await createdFor(ada);
    const { id } = await native(ada, made);
    deployment.advance(60_000);
    await ada.client.apiKeys.update({ params: { id }, body: { name: 'renamed-agent' } });
    const [key] = await keysOf(ada);
    expect(key).toMatchObject({ id: made.id, nickname: 'renamed-agent', createdAt: made.createdAt });
    expect(Date.parse(key!.updatedAt) - Date.parse(key!.createdAt)).toBeGreaterThanOrEqual(60_000);
  });
});

withCurl('deleting a key', () => {
  it('answers 200 with the confirmation, and requests with the key stop working at once', async () => {
    ada = await deployment.account();
    const { id, key } = await createdFor(ada);
    expect(await whoami(key)).toBe('done');
    expect(await documented(remove, { ...ada, id })).toEqual({ status: 200, body: JSON.parse(removed!) });
    expect(await whoami(key)).toBe('revoked');
    expect(await keysOf(ada)).toEqual([]);
  });

  it('answers 404 for a number that no key has, or has no longer', async () => {
    ada = await deployment.account();
    const { id } = await createdFor(ada);
    await documented(remove, { ...ada, id });
    for (const gone of [id, 1_000_000_007]) {
      const { status, body } = await documented(remove, { ...ada, id: gone });
      expect(status).toBe(404);
      expect(body).toEqual({ message: 'There is no such API key' });
    }
  });

  it('answers 401 for a key of a different account, which goes on working', async () => {
    ada = await deployment.account();
    const bob = await deployment.account();
    const { id, key } = await createdFor(bob);
    const { status, headers, body } = await call('DELETE', `api-keys/${id}`, bearer(ada.accessToken));
    expect(status).toBe(401);
    expect(body).toEqual({ message: 'The API key belongs to a different account' });
    expect(headers.get('www-authenticate')).toContain('Bearer');
    expect(await whoami(key)).toBe('done');
  });

  it.each(['abc', '0', '-1', '1.5', '9007199254740993'])('refuses %s, which is no number of a key', async (id) => {
    ada = await deployment.account();
    const { status, body } = await call('DELETE', `api-keys/${id}`, bearer(ada.accessToken));
    expect(status).toBe(400);
    expect(body).toEqual({ message: expect.stringContaining('params.id') });
  });
});

describe('every key endpoint', () => {
  it.each([
    ['POST', 'api-keys', { nickname: 'x' }],
    ['GET', 'api-keys', undefined],
    ['DELETE', 'api-keys/1', undefined],
  ] as const)('%s %s takes an access token only: anything else is 401 with a message', async (method, path, body) => {
    ada = await deployment.account();
    const { key } = await ada.client.apiKeys.create({ body: { name: 'Strong' } });
    const attempts: Record<string, string>[] = [
      {},
      bearer('nonsense'),
      bearer('a.b.c'),
      bearer(key),
      { 'X-API-Key': key },
    ];
    for (const headers of attempts) {
      const answer = await call(method, path, headers, body);
      expect(answer.status).toBe(401);
      expect(Object.keys(answer.body)).toEqual(['message']);
      expect(answer.headers.get('www-authenticate')).toContain('Bearer');
    }
  });

  it('answers a body that is no JSON with a message', async () => {
    ada = await deployment.account();
    const response = await fetch(`${deployment.url}/auth/api-keys`, {
      method: 'POST',
      headers: { ...bearer(ada.accessToken), 'Content-Type': 'application/json' },
      body: '{"nickname":',
    });
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({ message: 'body must be valid JSON; it ends too early' });
  });
});
