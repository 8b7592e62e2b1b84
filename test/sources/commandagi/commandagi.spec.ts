import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Client } from '#libs/client/client.js';
import { fromUuid, toUuid } from '#libs/contract/ids.js';
import { startDeployment, type Account, type Deployment } from '../../support/deployment.js';
import { eventually } from '../../support/eventually.js';
import { codeOf, outcomeOf } from '../../support/rejection.js';
import { curl, withCurl } from '../curl.js';
import { plainBlocksOf, readDocument, replaced, sha256Of, shapeOf } from '../document.js';
import { replacements, type Real } from './replacements.js';

const text = await readDocument('commandagi/commandagi.txt');
const [create, created, list, listOfProject, listed, revoke, revoked] = plainBlocksOf(text).map((block) => block.text);

const DAY = 86_400_000;

let deployment: Deployment;
let ada: Account;
let projectId: string;

beforeAll(async () => {
  deployment = await startDeployment();
  ada = await deployment.account();
  projectId = (await ada.client.projects.create({ body: { name: 'Assistant' } })).id;
});

afterAll(() => deployment.stop());

type NewKey = Parameters<Client['apiKeys']['create']>[0]['body'];

/** The key that the document starts with, from the dashboard. */
function existingKey(body: Partial<NewKey> = {}, owner = ada) {
  const scopes = ['api-keys:manage', 'agents:read', 'triggers:*'];
  return owner.client.apiKeys.create({ body: { name: 'Existing', environment: 'live', scopes, ...body } });
}

function documented(command: string | undefined, real: Omit<Real, 'host'>) {
  return curl(replaced(command!, replacements({ host: deployment.url, ...real })));
}

/** Runs the documented command. It creates a key of the project that lasts 90 days. */
async function createdBy(key: string) {
  const { status, body } = await documented(create, { key, projectId });
  expect(status).toBe(201);
  return body as { key: string; id: string; name: string; prefix: string; expiresAt: string; createdAt: string };
}

/** Sends a request that no command of the document makes. */
async function post(credential: string, body: object) {
  const response = await fetch(`${deployment.url}/api/api-keys`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${credential}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

async function get(credential: string, query = '') {
  const response = await fetch(`${deployment.url}/api/api-keys${query}`, {
    headers: { Authorization: `Bearer ${credential}` },
  });
  return ((await response.json()) as { keys: { id: string; prefix: string; projectId: string | null }[] }).keys;
}

const whoami = (key: string) => outcomeOf(deployment.client({ accessToken: key }).auth.whoami());

describe('the copy', () => {
  it('is the published document, byte for byte', () => {
    expect(sha256Of(text)).toBe('ce0a8dead9637bf0981c802ef8d8f1b633266cc465ffe1c3bd72c614e599cf4c');
  });

  it('has exactly these commands and responses: each is run or compared below', () => {
    expect(plainBlocksOf(text).map(({ language, text }) => `${language}: ${text.split('\n', 1)[0]}`)).toEqual([
      String.raw`bash: curl -X POST https://api.commandAGI.com/api/api-keys \ `.trim(),
      'json: {',
      String.raw`bash: curl https://api.commandAGI.com/api/api-keys \ `.trim(),
      String.raw`bash: curl "https://api.commandAGI.com/api/api-keys?projectId=proj_abc123" \ `.trim(),
      'json: {',
      String.raw`bash: curl -X DELETE "https://api.commandAGI.com/api/api-keys?id=key_xyz789" \ `.trim(),
      'json: {',
    ]);
    const commands = [create, list, listOfProject, revoke].join('\n');
    const left = replacements({ host: '' }).reduce((rest, [printed]) => rest.replaceAll(printed, ''), commands);
    expect(left).not.toMatch(/https?:|YOUR_|\b(proj|key)_\w/);
  });
});

withCurl('creating a key', () => {
  it('with an existing key as Bearer returns 201 with exactly the documented fields', async () => {
    const { key } = await existingKey();
    const answer = await createdBy(key);
    expect(shapeOf(answer)).toEqual(shapeOf(JSON.parse(created!)));
    expect(answer).toMatchObject({
      name: 'Production API Key',
      warning: (JSON.parse(created!) as { warning: string }).warning,
    });
    expect(Date.parse(answer.expiresAt) - Date.parse(answer.createdAt)).toBe(90 * DAY);
  });

  it('gives a key of "cagi_" and 32 characters that works, and shows the first 6 of them as its prefix', async () => {
    const { key } = await existingKey();
    const answer = await createdBy(key);
    expect(answer.key).toMatch(/^cagi_[0-9A-Za-z]{32}$/);
    expect(answer.prefix).toBe(answer.key.slice(0, 'cagi_'.length + 6));
    expect(await whoami(answer.key)).toBe('done');
  });

  it('run twice creates two keys', async () => {
    const { key } = await existingKey();
    const [first, second] = [await createdBy(key), await createdBy(key)];
    expect(second.id).not.toBe(first.id);
    expect([await whoami(first.key), await whoami(second.key)]).toEqual(['done', 'done']);
  });

  it('limits the key to the given project, and to none by default', async () => {
    const { key } = await existingKey();
    const answer = await createdBy(key);
    const other = (await ada.client.projects.create({ body: { name: 'Other' } })).id;
    const verify = (project: string) =>
      ada.client.apiKeys.verify({ body: { key: answer.key, project_id: project } }).then(({ code }) => code);
    expect([await verify(projectId), await verify(other)]).toEqual(['valid', 'wrong_project']);
    const { body } = await post(key, { name: 'Unscoped' });
    expect(body).toMatchObject({ expiresAt: null });
    expect((await get(key)).find(({ id }) => id === body['id'])!.projectId).toBeNull();
  });

  it('accepts expiresInDays from 1 to 3650, and the key then expires', async () => {
    const { key } = await existingKey();
    const statuses = [];
    for (const expiresInDays of [1, 3650, 0, 3651, 1.5, '90']) {
      statuses.push((await post(key, { name: 'Expires', expiresInDays })).status);
    }
    expect(statuses).toEqual([201, 201, 400, 400, 400, 400]);
    expect((await post(key, { projectId, expiresInDays: 90 })).status).toBe(400);
  });

  it('never creates a key with more authority than the calling key', async () => {
    const { key } = await existingKey({
      scopes: ['api-keys:manage', 'agents:read'],
      project_id: projectId,
      environment: 'test',
      expires_in_days: 7,
      allowed_ips: ['127.0.0.0/8'],
    });
    const { body } = await post(key, { name: 'Child' });
    const child = await ada.client.apiKeys.get({ params: { id: body['id'] as string } });
    // `api-keys:manage` includes `api-keys:read`.
    expect(child).toMatchObject({
      scopes: ['api-keys:manage', 'api-keys:read', 'agents:read'],
      project_id: projectId,
      environment: 'test',
      allowed_ips: ['127.0.0.0/8'],
    });
    expect(child.prefix).toMatch(/^cagi_/);
    expect(await post(key, { name: 'Outlives', expiresInDays: 8 })).toMatchObject({
      status: 403,
      body: { code: 'beyond_authority' },
    });
    const other = (await ada.client.projects.create({ body: { name: 'Elsewhere' } })).id;
    expect((await post(key, { name: 'Elsewhere', projectId: other })).status).toBe(403);
  });

  it('does not grant scopes beyond the organization', async () => {
    const operator = await deployment.operator();
    const { key } = await existingKey({ scopes: ['api-keys:manage', 'deployment:verify'] }, operator);
    const { body } = await post(key, { name: 'Child' });
    const child = await operator.client.apiKeys.get({ params: { id: body['id'] as string } });
    expect(child.scopes.toSorted()).toEqual(['api-keys:manage', 'api-keys:read']);
  });

  it('needs api-keys:manage, and also works for a user', async () => {
    const weak = await existingKey({ scopes: ['agents:read'] });
    expect(await post(weak.key, { name: 'No' })).toMatchObject({ status: 403, body: { code: 'insufficient_scope' } });
    const byUser = await post(ada.accessToken, { name: 'Yes' });
    expect(byUser.status).toBe(201);
    const made = await ada.client.apiKeys.get({ params: { id: byUser.body['id'] as string } });
    expect(made.environment).toBe('live');
  });

  it('gives a key that keeps its prefix when it is rotated', async () => {
    const { key } = await existingKey();
    const { id, key: old } = await createdBy(key);
    const rotated = await ada.client.apiKeys.rotate({ params: { id } });
    expect(rotated.key).toMatch(/^cagi_[0-9A-Za-z]{32}$/);
    expect([await whoami(old), await whoami(rotated.key)]).toEqual(['revoked', 'done']);
  });
});

withCurl('listing keys', () => {
  it('has exactly the documented fields, with the last use and the number of uses', async () => {
    const bob = await deployment.account();
    const { key } = await existingKey({}, bob);
    const project = (await bob.client.projects.create({ body: { name: 'Assistant' } })).id;
    const made = (await documented(create, { key, projectId: project })).body as { key: string; id: string };
    for (let use = 0; use < 2; use++) await bob.client.apiKeys.verify({ body: { key: made.key } });
    await eventually(
      () => bob.client.apiKeys.get({ params: { id: made.id } }),
      ({ usage_count }) => usage_count === 2,
    );

    const all = await documented(list, { key });
    expect(all.status).toBe(200);
    expect((all.body!['keys'] as object[]).map((item) => Object.keys(item))).toEqual(
      Array(2).fill(Object.keys((JSON.parse(listed!) as { keys: [object] }).keys[0])),
    );

    const ofProject = await documented(listOfProject, { key, projectId: project });
    expect(ofProject.status).toBe(200);
    expect(shapeOf(ofProject.body)).toEqual(shapeOf(JSON.parse(listed!)));
    expect(ofProject.body).toMatchObject({ keys: [{ id: made.id, projectId: project, usageCount: 2 }] });
    expect(JSON.stringify([all, ofProject])).not.toContain(made.key.slice(-22));
  });

  it('has every active key, however many, and no disabled, expired, revoked or foreign key', async () => {
    const bob = await deployment.account();
    const { key, id } = await existingKey({}, bob);
    const made = await Promise.all(
      Array.from({ length: 5 }, () => post(key, { name: 'One of many', expiresInDays: 2 })),
    );
    const ids = made.map(({ body }) => body['id'] as string);
    // More than a page: copies of the last one.
    const { rows } = await deployment.sql.query<{ id: string }>(
      `INSERT INTO api_key OVERRIDING SYSTEM VALUE SELECT (jsonb_populate_record(k, jsonb_build_object(
         'id', gen_random_uuid(), 'number', 1000000 + n, 'public_key', 'pk_live_' || n))).*
       FROM api_key k, generate_series(1, 100) AS n WHERE k.id = $1 RETURNING id`,
      [toUuid(ids[4]!)],
    );
    ids.push(...rows.map(({ id: copy }) => fromUuid('key', copy)));
    const [disabled, revokedKey, deleted, expiring] = ids as [string, string, string, string];
    await bob.client.apiKeys.disable({ params: { id: disabled } });
    await bob.client.apiKeys.revoke({ params: { id: revokedKey } });
    await bob.client.apiKeys.delete({ params: { id: deleted } });
    await bob.client.apiKeys.update({
      params: { id: expiring },
      body: { expires_at: new Date(Date.now() + DAY).toISOString() },
    });
    deployment.advance(DAY);
    try {
      const active = (await get(key)).map((item) => item.id);
      expect(active.toSorted()).toEqual([id, ...ids.slice(4)].toSorted());
    } finally {
      deployment.advance(-DAY);
    }
  });
});

withCurl('revoking a key', () => {
  it('returns success, ends the key at once and removes it from the list, and cannot be undone', async () => {
    const { key } = await existingKey();
    const made = await createdBy(key);
    expect(await whoami(made.key)).toBe('done');
    const answer = await documented(revoke, { key, keyId: made.id });
    expect(answer).toEqual({ status: 200, body: JSON.parse(revoked!) });
    expect(await whoami(made.key)).toBe('revoked');
    expect((await get(key)).map(({ id }) => id)).not.toContain(made.id);
    expect(await codeOf(ada.client.apiKeys.enable({ params: { id: made.id } }))).toBe('not_found');
  });

  it('responds to another tenant’s key as not found', async () => {
    const bob = await deployment.account();
    const { key } = await existingKey({}, bob);
    const { id, key: adasKey } = await existingKey();
    expect((await documented(revoke, { key, keyId: id })).status).toBe(404);
    expect(await whoami(adasKey)).toBe('done');
  });
});
