import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { generateToken } from '#libs/api-key-format/token.js';
import { keyTextNames } from '#libs/contract/api-key-texts.js';
import { fillPath, SECRET_FIELDS } from '#libs/contract/route.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { newWorld, samples, type World } from '../support/route-samples.js';
import { routeTable } from '../support/route-table.js';

/**
 * A secret that a user pastes into a text would be shown to everyone who may read the text: in lists, in verifications,
 * in the headers of a gateway. So no text takes one.
 */
let deployment: Deployment;
let owner: Account;
let operator: Account;
let world: World;
const secret = generateToken('sk_live');

beforeAll(async () => {
  deployment = await startDeployment();
  [owner, operator] = [await deployment.account(), await deployment.operator()];
  world = await newWorld(deployment, owner, operator);
});

afterAll(() => deployment.stop());

const table = routeTable.filter(({ route }) => route.body);

/** The same text in every form that a reader can undo. */
const forms = (text: string): [string, string][] => [
  ['as it is', text],
  ['with a public key', `${generateToken('pk_live')}:${text}`],
  ['within a sentence', `The key is ${text}.`],
  ['percent-encoded', text.replaceAll('_', '%5F')],
  ['in base64', Buffer.from(`ada:${text}`).toString('base64')],
  ['in base64url', Buffer.from(`ü?${text}`).toString('base64url')],
];

const TEXTS = ['name', 'nickname', 'reason', 'description', 'email', ...keyTextNames];

async function send(method: string, path: string, account: Account, body: object) {
  const response = await fetch(`${deployment.url}${path}`, {
    method,
    headers: { 'content-type': 'application/json', authorization: `Bearer ${account.accessToken}` },
    body: JSON.stringify(body),
  });
  return { status: response.status, text: await response.text() };
}

describe.each(table)('$name', ({ name, route }) => {
  it('rejects a secret in any text that takes none, and names the field without repeating the secret', async () => {
    const { params, body } = samples[name]!(world);
    const path = fillPath(route, (parameter) => params?.[parameter] ?? '');
    const fields = Object.keys(route.body!.shape).filter((field) => !SECRET_FIELDS.has(field));
    for (const field of fields.filter((each) => TEXTS.includes(each))) {
      for (const [, text] of forms(secret)) {
        if (text.length > 100 && field.endsWith('name')) continue;
        const account = route.policy === 'operator' ? operator : owner;
        const response = await send(route.method, path, account, { ...body, [field]: text });
        expect([field, text, response.status]).toEqual([field, text, 400]);
        expect(response.text).toContain(`body.${field}`);
        expect(response.text).not.toContain(secret.slice(-20));
      }
    }
  });
});

it('a key takes no secret in its metadata, in a value or in a name, at its creation or later', async () => {
  const { id } = await owner.client.apiKeys.create({ body: { name: 'Plain', scopes: ['triggers:read'] } });
  for (const [, text] of forms(secret)) {
    const records = [{ note: text }, ...(text.length <= 40 ? [{ [text]: 'x' }] : [])];
    for (const metadata of records) {
      const created = await send('POST', '/api/v1/api-keys', owner, { name: 'M', scopes: ['triggers:read'], metadata });
      const changed = await send('PATCH', `/api/v1/api-keys/${id}`, owner, { metadata });
      for (const { status, text: problem } of [created, changed]) {
        expect(status).toBe(400);
        expect(JSON.parse(problem)).toMatchObject({
          code: 'invalid_request',
          errors: [{ location: expect.stringMatching(/^body\.metadata/), message: expect.stringContaining('secret') }],
        });
        expect(problem).not.toContain(secret.slice(-20));
      }
    }
  }
});

it('a text with an id, a public key, the shown beginning of a key or a hash is accepted', async () => {
  const key = await owner.client.apiKeys.create({ body: { name: 'Other', scopes: ['triggers:read'] } });
  for (const text of [
    key.id,
    key.public_key,
    `${key.prefix}…`,
    'a'.repeat(64),
    'file_0123456789abcdef0123456789abcdef',
  ])
    expect(
      await owner.client.apiKeys.update({
        params: { id: key.id },
        body: { name: text, external_id: text, metadata: { note: text } },
      }),
    ).toMatchObject({ name: text, external_id: text, metadata: { note: text } });
});

it('a secret in the path or the user agent of a request is removed in every form before it is recorded', async () => {
  const service = await owner.client.apiKeys.create({
    body: { name: 'Service', scopes: ['triggers:read', 'api-keys:verify'] },
  });
  const encoded = forms(secret).map(([, text]) => text);
  const agents = [...encoded, ...encoded.map((text) => `Basic ${text}`), `shop/1.0 (${encoded.at(-1)})`];
  for (const agent of agents.map((text) => encodeURI(text).replaceAll('%25', '%'))) {
    const headers = { 'x-api-key': service.key, 'user-agent': agent };
    await fetch(`${deployment.url}/authz`, {
      headers: {
        ...headers,
        'x-authz-scope': 'triggers:read',
        'x-original-url': `https://a.example/v1/${agent.replaceAll(' ', '/')}/x`,
      },
    });
    await fetch(`${deployment.url}/api/v1/whoami`, { headers });
    const request = { method: 'GET', path: `/v1/${agent}`, user_agent: agent, origin: `https://${agent}.example` };
    const { key } = service;
    await deployment.client({ apiKey: key }).apiKeys.verify({ body: { key, request } });
  }
  await allIngested(deployment);
  const { data } = await owner.client.audit.listEvents({ query: { type: 'api_key.used', limit: 100 } });
  expect(data.length).toBeGreaterThanOrEqual(2 * agents.length);
  const text = JSON.stringify(data);
  const inBase64 = text.match(/[\w+/-]{30,}/g) ?? [];
  const decoded = inBase64.flatMap((part) =>
    [0, 1, 2, 3].map((skipped) => Buffer.from(part.slice(skipped), 'base64').toString('latin1')),
  );
  for (const reading of [text, decodeURIComponent(text.replace(/%(?![0-9A-F]{2})/gi, '%25')), ...decoded])
    expect(reading).not.toContain(secret.slice(-20));
  expect(text).toContain('…');
});
