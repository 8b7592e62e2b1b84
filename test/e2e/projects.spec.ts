import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { codeOf, outcomeOf } from '../support/rejection.js';

let deployment: Deployment;
let ada: Account;
let shop: string;
let blog: string;

beforeAll(async () => {
  deployment = await startDeployment();
  ada = await deployment.account();
  [shop, blog] = await Promise.all([newProject('Shop'), newProject('Blog')]);
});

afterAll(() => deployment.stop());

const newProject = async (name: string) => (await ada.client.projects.create({ body: { name } })).id;
const newKey = (projectId: string | undefined, scopes = ['triggers:read']) =>
  ada.client.apiKeys.create({ body: { name: 'Key', scopes, ...(projectId && { project_id: projectId }) } });
const withKey = async (projectId: string | undefined, scopes: string[]) =>
  deployment.client({ apiKey: (await newKey(projectId, scopes)).key });

describe('a project', () => {
  it('is created, read, listed, searched and changed, and the audit log records it', async () => {
    const created = await ada.client.projects.create({ body: { name: 'Mobile', description: 'The app' } });
    const params = { id: created.id };
    expect(created).toMatchObject({ organization_id: ada.organizationId, name: 'Mobile', description: 'The app' });
    const updated = await ada.client.projects.update({ params, body: { name: 'Mobile app', description: null } });
    expect(await ada.client.projects.get({ params })).toEqual(updated);
    expect((await ada.client.projects.list({ query: { search: 'MOBILE' } })).data).toEqual([updated]);
    const all = await ada.client.projects.list({ query: { organization_id: ada.organizationId } });
    expect(all.total).toBe(all.data.length);
    const auditLog = await eventually(
      () => ada.client.audit.listEvents({ query: { type: 'project.updated' } }),
      (response) => response.data.length > 0,
    );
    expect(auditLog.data[0]!.event).toMatchObject({
      subject: created.id,
      data: {
        changes: { name: { before: 'Mobile', after: 'Mobile app' }, description: { before: 'The app', after: null } },
      },
    });
  });

  it('is changed with If-Match only from its current version', async () => {
    const params = { id: await newProject('Tagged') };
    const url = `${deployment.url}/api/v1/projects/${params.id}`;
    const etag = (await fetch(url, { headers: { authorization: `Bearer ${ada.accessToken}` } })).headers.get('etag')!;
    const rename = (name: string) =>
      ada.client.projects.update({ params, headers: { 'if-match': etag }, body: { name } });
    await rename('First');
    expect(await codeOf(rename('Second'))).toBe('precondition_failed');
  });

  it('is listed in pages without repetition or gaps', async () => {
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await ada.client.projects.list({ query: { limit: 1, ...(cursor && { cursor }) } });
      seen.push(...page.data.map(({ id }) => id));
      cursor = page.next_cursor ?? undefined;
    } while (cursor);
    expect(seen).toEqual((await ada.client.projects.list({ query: { limit: 100 } })).data.map(({ id }) => id));
  });

  it('with working keys is deleted only together with them', async () => {
    const params = { id: await newProject('Goes') };
    const keys = await Promise.all([newKey(params.id), newKey(params.id)]);
    expect(await codeOf(ada.client.projects.delete({ params }))).toBe('conflict');
    await deployment.client({ apiKey: keys[0].key }).auth.whoami();
    expect(await ada.client.projects.delete({ params, query: { api_keys: 'revoke' } })).toEqual({
      revoked_api_keys: 2,
    });
    for (const { key } of keys) {
      expect(await codeOf(deployment.client({ apiKey: key }).auth.whoami())).toBe('revoked');
    }
    expect(await codeOf(ada.client.projects.get({ params }))).toBe('not_found');
    expect(await codeOf(newKey(params.id))).toBe('not_found');
    const listed = await ada.client.apiKeys.list({ query: { project_id: params.id } });
    expect(listed.data.map(({ status }) => status)).toEqual(['revoked', 'revoked']);
    const auditLog = await eventually(
      () => ada.client.audit.listEvents({ query: { key_id: keys[0].id, type: 'api_key.revoked' } }),
      (response) => response.data.length > 0,
    );
    expect(auditLog.data[0]!.event.data).toMatchObject({ project_id: params.id, because: 'project_deleted' });
  });

  it('deleted while a key is created leaves no active key', async () => {
    const outcomes = new Set<string>();
    for (let round = 0; round < 5; round++) {
      const params = { id: await newProject('Contested') };
      const [created] = await Promise.all([
        newKey(params.id).catch(() => undefined),
        ada.client.projects.delete({ params, query: { api_keys: 'revoke' } }),
      ]);
      outcomes.add(created ? await codeOf(deployment.client({ apiKey: created.key }).auth.whoami()) : 'never was');
    }
    expect(['revoked', 'never was']).toEqual(expect.arrayContaining([...outcomes]));
  });
});

describe('a key of a project', () => {
  const everything = ['*:*'];

  it('sees and changes only keys of the project', async () => {
    const { apiKeys, auth } = await withKey(shop, everything);
    expect(await auth.whoami()).toMatchObject({ api_key: { project_id: shop } });
    const [inShop, inBlog, inNone] = await Promise.all([newKey(shop), newKey(blog), newKey(undefined)]);
    const listed = (await apiKeys.list({ query: { limit: 100 } })).data.map(({ id }) => id);
    expect(listed).toContain(inShop.id);
    expect(listed).not.toContain(inBlog.id);
    expect(listed).not.toContain(inNone.id);
    expect((await apiKeys.list({ query: { project_id: blog } })).total).toBe(0);
    await apiKeys.disable({ params: { id: inShop.id } });
    for (const { id } of [inBlog, inNone]) {
      expect(await codeOf(apiKeys.get({ params: { id } }))).toBe('not_found');
      expect(await codeOf(apiKeys.rotate({ params: { id } }))).toBe('not_found');
      expect(await codeOf(apiKeys.delete({ params: { id } }))).toBe('not_found');
    }
  });

  it('creates only keys of the project', async () => {
    const { apiKeys } = await withKey(shop, everything);
    const create = (projectId?: string) =>
      apiKeys.create({
        body: { name: 'Child', scopes: ['triggers:read'], ...(projectId && { project_id: projectId }) },
      });
    expect((await create()).project_id).toBe(shop);
    expect((await create(shop)).project_id).toBe(shop);
    expect(await codeOf(create(blog))).toBe('beyond_authority');
  });

  it('reads only the events of the project in the audit log', async () => {
    const { audit } = await withKey(shop, everything);
    const [inShop, inBlog] = await Promise.all([newKey(shop), newKey(blog)]);
    const subjects = await eventually(
      async () => (await audit.listEvents({ query: { limit: 100 } })).data.map(({ event }) => event.subject),
      (found) => found.includes(inShop.id),
    );
    expect(subjects).toContain(inShop.id);
    expect(subjects).not.toContain(inBlog.id);
    expect(subjects).not.toContain(ada.userId);
    expect((await audit.listEvents({ query: { key_id: inBlog.id } })).data).toEqual([]);
  });

  it('reads its project and the name of its organization, and nothing else', async () => {
    const { projects, organizations, members } = await withKey(shop, everything);
    const params = { id: ada.organizationId };
    expect((await projects.list()).data.map(({ id }) => id)).toEqual([shop]);
    await projects.get({ params: { id: shop } });
    await organizations.get({ params });
    expect(await codeOf(projects.get({ params: { id: blog } }))).toBe('not_found');
    expect(await codeOf(projects.update({ params: { id: blog }, body: { name: 'Mine' } }))).toBe('not_found');
    expect(await codeOf(projects.create({ body: { name: 'More' } }))).toBe('wrong_project');
    expect(await codeOf(organizations.update({ params, body: { name: 'Mine' } }))).toBe('wrong_project');
    expect(await codeOf(members.list({ params }))).toBe('wrong_project');
  });

  it('is valid only for its project, which the verification returns', async () => {
    const service = await withKey(undefined, ['api-keys:verify']);
    const [{ key }, { key: free }] = await Promise.all([newKey(shop), newKey(undefined)]);
    const verify = async (key: string, projectId?: string) =>
      service.apiKeys.verify({ body: { key, ...(projectId && { project_id: projectId }) } });
    expect(await verify(key, shop)).toMatchObject({
      code: 'valid',
      api_key: { organization_id: ada.organizationId, project_id: shop },
    });
    expect((await verify(key)).code).toBe('valid');
    expect((await verify(key, blog)).code).toBe('wrong_project');
    expect((await verify(free, shop)).code).toBe('valid');
    expect((await verify(free)).api_key!.project_id).toBeNull();
    // A project of another organization is rejected like one that does not exist.
    const bob = await deployment.account();
    const { id: bobs } = await bob.client.projects.create({ body: { name: "Bob's" } });
    expect((await verify(free, bobs)).code).toBe('wrong_project');
    expect((await verify(free, 'proj_01h455vb4pex5vsknk084sn02q')).code).toBe('wrong_project');
  });

  it('that verifies others sees only keys of its project', async () => {
    const service = await withKey(shop, ['api-keys:verify']);
    const codes = await Promise.all(
      [shop, blog, undefined].map(async (projectId) => {
        const { key } = await newKey(projectId);
        return (await service.apiKeys.verify({ body: { key } })).code;
      }),
    );
    expect(codes).toEqual(['valid', 'invalid_key', 'invalid_key']);
  });

  it('cannot be created for the project of another organization', async () => {
    const bob = await deployment.account();
    expect(
      await codeOf(
        bob.client.apiKeys.create({ body: { name: 'Foreign', project_id: shop, scopes: ['triggers:read'] } }),
      ),
    ).toBe('not_found');
  });
});

describe('a key with allowed addresses', () => {
  const newLimited = (networks: string[]) =>
    ada.client.apiKeys.create({ body: { name: 'Limited', scopes: ['*:*'], allowed_ips: networks } });

  it('works only from them', async () => {
    const { key, id, allowed_ips: kept } = await newLimited(['198.51.100.7/24', '::ffff:203.0.113.9']);
    expect(kept).toEqual(['198.51.100.0/24', '203.0.113.9']);
    const caller = deployment.client({ apiKey: key });
    expect(await codeOf(caller.auth.whoami())).toBe('ip_not_allowed');
    await ada.client.apiKeys.update({ params: { id }, body: { allowed_ips: ['127.0.0.0/8', '::1'] } });
    await caller.auth.whoami();
    await ada.client.apiKeys.update({ params: { id }, body: { allowed_ips: [] } });
    await caller.auth.whoami();
  });

  it('is verified against the address of its own caller', async () => {
    const service = await withKey(undefined, ['api-keys:verify']);
    const { key } = await newLimited(['198.51.100.0/24', '2001:db8::/32']);
    const verify = async (ip?: string) =>
      (await service.apiKeys.verify({ body: { key, request: { ...(ip && { ip }) } } })).code;
    expect(
      await Promise.all(['198.51.100.1', '198.51.101.1', '2001:db8::5', '::ffff:198.51.100.1', undefined].map(verify)),
    ).toEqual(['valid', 'ip_not_allowed', 'valid', 'valid', 'ip_not_allowed']);
  });

  it('passes its limit to the keys that it creates', async () => {
    const { key } = await newLimited(['127.0.0.0/8']);
    const { apiKeys } = deployment.client({ apiKey: key });
    const create = (allowedIps?: string[]) =>
      apiKeys.create({
        body: { name: 'Child', scopes: ['triggers:read'], ...(allowedIps && { allowed_ips: allowedIps }) },
      });
    const child = await create();
    expect(child.allowed_ips).toEqual(['127.0.0.0/8']);
    expect((await create(['127.0.0.1'])).allowed_ips).toEqual(['127.0.0.1']);
    expect(await outcomeOf(create(['127.0.0.1', '10.0.0.1']))).toBe('beyond_authority');
    expect(await outcomeOf(create([]))).toBe('beyond_authority');
    const widen = apiKeys.update({ params: { id: child.id }, body: { allowed_ips: [] } });
    expect(await outcomeOf(widen)).toBe('beyond_authority');
  });
});
