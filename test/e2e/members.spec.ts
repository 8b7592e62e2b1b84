import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { toUuid } from '#libs/contract/ids.js';
import type { Role } from '#libs/contract/organizations.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { codeOf, outcomeOf } from '../support/rejection.js';
import { storedEntries } from '../support/audit-log.js';

let deployment: Deployment;
let ada: Account;

beforeAll(async () => {
  deployment = await startDeployment();
  ada = await deployment.account();
});

afterAll(() => deployment.stop());

const newTeam = async () => (await ada.client.organizations.create({ body: { name: 'Team' } })).id;
const invite = (team: string, role: Role, by = ada, email?: string) =>
  by.client.invitations.create({ params: { id: team }, body: { role, ...(email && { email }) } });

/** Creates a new user with this role. */
const join = async (team: string, role: Role) => deployment.account((await invite(team, role)).token);
const rolesIn = async (team: string) =>
  new Map(
    (await ada.client.members.list({ params: { id: team } })).data.map((member) => [member.user_id, member.role]),
  );
const setRole = (by: Account, team: string, userId: string, role: Role) =>
  by.client.members.update({ params: { id: team, user_id: userId }, body: { role } });
const remove = (by: Account, team: string, userId: string, revokeKeys?: 'true') =>
  by.client.members.remove({
    params: { id: team, user_id: userId },
    query: { ...(revokeKeys && { revoke_keys: revokeKeys }) },
  });
const eventsOf = async (team: string, type: string, count = 1) =>
  (
    await eventually(
      () => ada.client.audit.listEvents({ query: { organization_id: team, type, order: 'asc' } }),
      (response) => response.data.length >= count,
    )
  ).data.map(({ event }) => event);

describe('an organization', () => {
  it('belongs to its creator, is listed next to the personal one, and can be renamed', async () => {
    const created = await ada.client.organizations.create({ body: { name: ' Acme ' } });
    expect(created).toMatchObject({
      name: 'Acme',
      personal: false,
      role: 'owner',
      status: 'active',
      scope_ceiling: null,
    });
    expect((await ada.client.organizations.list()).data.map(({ id }) => id)).toEqual(
      expect.arrayContaining([ada.organizationId, created.id]),
    );
    const params = { id: created.id };
    const renamed = await ada.client.organizations.update({ params, body: { name: 'Acme Ltd' } });
    expect(await ada.client.organizations.get({ params })).toEqual(renamed);
    expect((await eventsOf(created.id, 'organization.updated'))[0]!.data).toMatchObject({
      actor: { type: 'user', id: ada.userId },
      changes: { name: { before: 'Acme', after: 'Acme Ltd' } },
    });
  });

  it('is renamed with If-Match only from its current version', async () => {
    const team = await newTeam();
    const url = `${deployment.url}/api/v1/organizations/${team}`;
    const etag = (await fetch(url, { headers: { authorization: `Bearer ${ada.accessToken}` } })).headers.get('etag')!;
    const rename = (name: string) =>
      ada.client.organizations.update({ params: { id: team }, headers: { 'if-match': etag }, body: { name } });
    await rename('First');
    expect(await codeOf(rename('Second'))).toBe('precondition_failed');
  });

  it('lists its members in pages with a Link to the next', async () => {
    await Promise.all([newTeam(), newTeam()]);
    const response = await fetch(`${deployment.url}/api/v1/organizations?limit=1`, {
      headers: { authorization: `Bearer ${ada.accessToken}` },
    });
    const { next_cursor: cursor } = (await response.json()) as { next_cursor: string };
    expect(response.headers.get('link')).toBe(
      `<http://keyledger.test/api/v1/organizations?limit=1&cursor=${cursor}>; rel="next"`,
    );
    const last = await fetch(`${deployment.url}/api/v1/organizations?limit=100`, {
      headers: { authorization: `Bearer ${ada.accessToken}` },
    });
    expect(last.headers.get('link')).toBeNull();
  });
});

describe('an invitation', () => {
  it('lets one user register as a member', async () => {
    const team = await newTeam();
    const { token, url } = await invite(team, 'developer');
    expect(url).toBe(`http://keyledger.test/invitation#${token}`);
    expect(await deployment.client().invitations.describe({ body: { token } })).toMatchObject({
      organization: { id: team, name: 'Team' },
      role: 'developer',
    });
    const bob = await deployment.account(token);
    expect((await rolesIn(team)).get(bob.userId)).toBe('developer');
    expect((await bob.client.organizations.list()).data.map(({ id, role }) => [id, role])).toEqual(
      expect.arrayContaining([
        [bob.organizationId, 'owner'],
        [team, 'developer'],
      ]),
    );
    expect(await codeOf(deployment.account(token))).toBe('invalid_link');
    expect(await codeOf(deployment.client().invitations.describe({ body: { token } }))).toBe('invalid_link');
    const [added] = await eventsOf(team, 'member.added');
    expect(added).toMatchObject({ subject: bob.userId, data: { role: 'developer', actor: { id: bob.userId } } });
  });

  it('is accepted by an existing account, and raises a member to a higher role, never to a lower one', async () => {
    const team = await newTeam();
    const bob = await deployment.account();
    const accept = async (role: Role) =>
      bob.client.invitations.accept({ body: { token: (await invite(team, role)).token } });
    expect(await accept('viewer')).toEqual({ organization_id: team, role: 'viewer', operator: false });
    await accept('admin');
    expect((await rolesIn(team)).get(bob.userId)).toBe('admin');
    await accept('viewer');
    expect((await rolesIn(team)).get(bob.userId)).toBe('admin');
  });

  it('that many users accept at once makes one of them a member', async () => {
    const team = await newTeam();
    const { token } = await invite(team, 'viewer');
    const people = await Promise.all(Array.from({ length: 5 }, () => deployment.account()));
    const outcomes = await Promise.all(
      people.map(({ client }) => outcomeOf(client.invitations.accept({ body: { token } }))),
    );
    expect(outcomes.toSorted()).toEqual(['done', ...Array<string>(4).fill('invalid_link')]);
    expect((await rolesIn(team)).size).toBe(2);
  });

  it('for one email cannot be accepted by another', async () => {
    const team = await newTeam();
    const bob = await deployment.account();
    const { token } = await invite(team, 'viewer', ada, bob.email.toUpperCase());
    const eve = await deployment.account();
    expect(await codeOf(eve.client.invitations.accept({ body: { token } }))).toBe('invalid_link');
    await bob.client.invitations.accept({ body: { token } });
  });

  it('stops working when it is withdrawn, and after seven days', async () => {
    const team = await newTeam();
    const bob = await deployment.account();
    const accept = (token: string) => codeOf(bob.client.invitations.accept({ body: { token } }));
    const withdrawn = await invite(team, 'viewer');
    const params = { id: team, invitation_id: withdrawn.id };
    expect((await ada.client.invitations.list({ params: { id: team } })).data.map(({ id }) => id)).toEqual([
      withdrawn.id,
    ]);
    await ada.client.invitations.revoke({ params });
    await ada.client.invitations.revoke({ params });
    expect(await accept(withdrawn.token)).toBe('invalid_link');
    expect((await ada.client.invitations.list({ params: { id: team } })).total).toBe(0);

    const old = await invite(team, 'viewer');
    const sevenDays = Date.parse(old.expires_at) - Date.parse(old.created_at);
    expect(sevenDays).toBe(7 * 86_400_000);
    await deployment.sql.query('UPDATE invitation SET expires_at = now() WHERE id = $1', [toUuid(old.id)]);
    expect(await accept(old.token)).toBe('invalid_link');
  });

  it('to a personal organization is rejected: its audit log has the sign-ins of its owner', async () => {
    expect(await codeOf(invite(ada.organizationId, 'viewer'))).toBe('conflict');
  });

  it('of a user who is already a member is rejected', async () => {
    const team = await newTeam();
    const bob = await join(team, 'viewer');
    expect(await codeOf(invite(team, 'admin', ada, bob.email))).toBe('conflict');
  });

  it('does not store its token in the database or the audit log', async () => {
    const team = await newTeam();
    const { token } = await invite(team, 'viewer');
    await eventsOf(team, 'invitation.created');
    const { rows } = await deployment.sql.query<{ text: string }>(
      `SELECT string_agg(i::text, ' ') AS text FROM invitation i`,
    );
    const entries = await storedEntries(deployment.sql);
    for (const text of [rows[0]!.text, entries.map(({ entry }) => entry.toString()).join(' ')]) {
      expect(text.length).toBeGreaterThan(100);
      expect(text).not.toContain(token.slice('invite_'.length));
    }
  });
});

describe('a role', () => {
  const may = async (work: Promise<unknown>) => (await outcomeOf(work)) === 'done';

  it.each([
    ['owner', { keys: true, everybodysKeys: true, auditLog: true, rename: true, invite: true, inviteOwner: true }],
    ['admin', { keys: true, everybodysKeys: true, auditLog: true, rename: true, invite: true, inviteOwner: false }],
    [
      'developer',
      { keys: true, everybodysKeys: false, auditLog: false, rename: false, invite: false, inviteOwner: false },
    ],
    [
      'auditor',
      { keys: false, everybodysKeys: false, auditLog: true, rename: false, invite: false, inviteOwner: false },
    ],
    [
      'viewer',
      { keys: false, everybodysKeys: false, auditLog: false, rename: false, invite: false, inviteOwner: false },
    ],
  ] as const)('%s allows exactly its rights', async (role, expected) => {
    const team = await newTeam();
    const somebodys = await ada.client.apiKeys.create({
      body: { name: 'Of Ada', organization_id: team, scopes: ['triggers:read'] },
    });
    const { client } = await join(team, role);
    expect({
      keys: await may(
        client.apiKeys.create({
          body: { name: 'Own', organization_id: team, scopes: ['triggers:read', 'triggers:*'] },
        }),
      ),
      everybodysKeys: await may(client.apiKeys.disable({ params: { id: somebodys.id } })),
      auditLog: await may(client.audit.listEvents({ query: { organization_id: team } })),
      rename: await may(client.organizations.update({ params: { id: team }, body: { name: 'New' } })),
      invite: await may(client.invitations.create({ params: { id: team }, body: { role: 'viewer' } })),
      inviteOwner: await may(client.invitations.create({ params: { id: team }, body: { role: 'owner' } })),
    }).toEqual(expected);
    expect(await may(client.organizations.get({ params: { id: team } }))).toBe(true);
    expect(await may(client.members.list({ params: { id: team } }))).toBe(true);
  });

  it('applies to the next request', async () => {
    const team = await newTeam();
    const bob = await join(team, 'admin');
    const read = () => bob.client.audit.listEvents({ query: { organization_id: team } });
    await read();
    await setRole(ada, team, bob.userId, 'viewer');
    expect(await codeOf(read())).toBe('insufficient_scope');
    await remove(ada, team, bob.userId);
    expect(await codeOf(read())).toBe('not_found');
  });

  it('of an owner can be changed only by owners', async () => {
    const team = await newTeam();
    const [admin, viewer] = [await join(team, 'admin'), await join(team, 'viewer')];
    expect(await codeOf(setRole(admin, team, ada.userId, 'viewer'))).toBe('beyond_authority');
    expect(await codeOf(remove(admin, team, ada.userId))).toBe('beyond_authority');
    expect(await codeOf(setRole(admin, team, viewer.userId, 'owner'))).toBe('beyond_authority');
    expect(await codeOf(setRole(admin, team, admin.userId, 'owner'))).toBe('beyond_authority');
    await setRole(admin, team, viewer.userId, 'auditor');
    await setRole(ada, team, viewer.userId, 'owner');
    expect((await eventsOf(team, 'member.role_changed', 2)).map(({ data }) => [data['before'], data['after']])).toEqual(
      [
        ['viewer', 'auditor'],
        ['auditor', 'owner'],
      ],
    );
  });

  it('of the last owner cannot be changed, even by concurrent requests', async () => {
    const team = await newTeam();
    const bob = await join(team, 'owner');
    expect(await codeOf(setRole(ada, await newTeam(), ada.userId, 'viewer'))).toBe('conflict');
    // Both change the other's role and both leave, all at once: one owner must remain.
    const outcomes = await Promise.all([
      outcomeOf(setRole(ada, team, bob.userId, 'viewer')),
      outcomeOf(setRole(bob, team, ada.userId, 'viewer')),
      outcomeOf(remove(ada, team, ada.userId)),
      outcomeOf(remove(bob, team, bob.userId)),
    ]);
    const { rows } = await deployment.sql.query<{ owners: number }>(
      "SELECT count(*)::int AS owners FROM membership WHERE role = 'owner' AND organization_id = $1",
      [toUuid(team)],
    );
    expect(rows[0]!.owners).toBe(1);
    expect(outcomes).toContain('done');
  });
});

describe('a member who leaves', () => {
  it('leaves the keys that they created to the organization', async () => {
    const team = await newTeam();
    const bob = await join(team, 'developer');
    const { key } = await bob.client.apiKeys.create({
      body: { name: 'Stays', organization_id: team, scopes: ['triggers:read'] },
    });
    expect(await remove(bob, team, bob.userId)).toEqual({ revoked_api_keys: 0 });
    await deployment.client({ apiKey: key }).auth.whoami();
    expect(await codeOf(bob.client.organizations.get({ params: { id: team } }))).toBe('not_found');
  });

  it('has these keys, and keys created with them, revoked at once with revoke_keys=true', async () => {
    const team = await newTeam();
    const bob = await join(team, 'developer');
    const [manager, plain] = await Promise.all(
      [['api-keys:manage', 'triggers:read'], ['triggers:read']].map((scopes) =>
        bob.client.apiKeys.create({ body: { name: 'Goes', organization_id: team, scopes } }),
      ),
    );
    const child = await deployment
      .client({ apiKey: manager!.key })
      .apiKeys.create({ body: { name: 'Goes too', scopes: ['triggers:read'] } });
    const others = await ada.client.apiKeys.create({
      body: { name: 'Stays', organization_id: team, scopes: ['triggers:read'] },
    });
    expect(await remove(ada, team, bob.userId, 'true')).toEqual({ revoked_api_keys: 3 });
    for (const { key } of [manager!, plain!, child]) {
      expect(await codeOf(deployment.client({ apiKey: key }).auth.whoami())).toBe('revoked');
    }
    await deployment.client({ apiKey: others.key }).auth.whoami();
    const revoked = await eventsOf(team, 'api_key.revoked', 3);
    expect(revoked.map(({ subject }) => subject).toSorted()).toEqual([manager!.id, plain!.id, child.id].toSorted());
    expect(revoked[0]!.data).toMatchObject({ because: 'member_removed', deleted: false });
    const listed = await ada.client.apiKeys.list({ query: { organization_id: team, status: 'revoked' } });
    expect(listed.total).toBe(3);
  });

  it('has their invitations withdrawn, because they may no longer give these roles', async () => {
    const team = await newTeam();
    const bob = await join(team, 'owner');
    const [toOwner, toViewer] = [await invite(team, 'owner', bob), await invite(team, 'viewer', bob)];
    const isOpen = async (token: string) =>
      (await outcomeOf(deployment.client().invitations.describe({ body: { token } }))) === 'done';
    await setRole(ada, team, bob.userId, 'admin');
    expect([await isOpen(toOwner.token), await isOpen(toViewer.token)]).toEqual([false, true]);
    await remove(ada, team, bob.userId);
    expect(await isOpen(toViewer.token)).toBe(false);
    expect(await eventsOf(team, 'invitation.revoked', 2)).toHaveLength(2);
  });

  it('leaves their expired invitations as they are, because these have ended already', async () => {
    const team = await newTeam();
    const bob = await join(team, 'owner');
    const [expired, open] = [await invite(team, 'viewer', bob), await invite(team, 'viewer', bob)];
    await deployment.sql.query('UPDATE invitation SET expires_at = now() WHERE id = $1', [toUuid(expired.id)]);
    await ada.client.invitations.revoke({ params: { id: team, invitation_id: expired.id } });
    await remove(ada, team, bob.userId);
    await eventsOf(team, 'member.removed');
    expect((await eventsOf(team, 'invitation.revoked')).map(({ subject }) => subject)).toEqual([
      expect.stringContaining(open.id),
    ]);
  });
});

describe('an invitation to a user whose role is lowered or removed', () => {
  it('does not give the old role back', async () => {
    const team = await newTeam();
    const bob = await deployment.account();
    const links = await Promise.all([1, 2, 3].map(() => invite(team, 'admin', ada, bob.email)));
    const accept = (index: number) =>
      outcomeOf(bob.client.invitations.accept({ body: { token: links[index]!.token } }));
    expect(await accept(0)).toBe('done');
    await setRole(ada, team, bob.userId, 'viewer');
    expect(await accept(1)).toBe('invalid_link');
    await remove(ada, team, bob.userId);
    expect(await accept(2)).toBe('invalid_link');
  });

  it('to a role that the user already has or exceeds stays open, and the response has the current role', async () => {
    const team = await newTeam();
    const bob = await join(team, 'admin');
    const { token } = await invite(team, 'viewer');
    expect(await bob.client.invitations.accept({ body: { token } })).toMatchObject({ role: 'admin' });
    const eve = await deployment.account(token);
    expect((await rolesIn(team)).get(eve.userId)).toBe('viewer');
  });

  it('is named in the event that raises the role', async () => {
    const team = await newTeam();
    const bob = await join(team, 'viewer');
    const { token, id } = await invite(team, 'admin');
    await bob.client.invitations.accept({ body: { token } });
    expect((await eventsOf(team, 'member.role_changed'))[0]!.data).toMatchObject({ invitation_id: id, after: 'admin' });
  });
});

describe("a developer's keys", () => {
  it('are the only keys that they and their keys can see and change', async () => {
    const team = await newTeam();
    const bob = await join(team, 'developer');
    const create = (by: Account, scopes: string[]) =>
      by.client.apiKeys.create({ body: { name: 'Key', organization_id: team, scopes } });
    const adas = await create(ada, ['triggers:read']);
    const manager = await create(bob, ['api-keys:manage', 'triggers:read']);
    const own = await create(bob, ['triggers:read']);
    const withKey = deployment.client({ apiKey: manager.key });
    const child = await withKey.apiKeys.create({ body: { name: 'Child', scopes: ['triggers:read'] } });

    for (const { apiKeys } of [bob.client, withKey]) {
      const { data, total } = await apiKeys.list({ query: { organization_id: team } });
      expect(data.map(({ id }) => id).toSorted()).toEqual([manager.id, own.id, child.id].toSorted());
      expect(total).toBe(3);
      const params = { id: adas.id };
      for (const work of [
        () => apiKeys.get({ params }),
        () => apiKeys.update({ params, body: { name: 'Mine' } }),
        () => apiKeys.rotate({ params }),
        () => apiKeys.disable({ params }),
        () => apiKeys.revoke({ params }),
        () => apiKeys.delete({ params }),
      ]) {
        expect(await codeOf(work())).toBe('not_found');
      }
      await apiKeys.update({ params: { id: own.id }, body: { description: 'Changed' } });
    }
    // In their personal organization they are the owner.
    expect((await bob.client.apiKeys.list()).total).toBe(3);
    await bob.client.apiKeys.create({ body: { name: 'Personal', scopes: ['*:*'] } });
    expect((await bob.client.apiKeys.list()).total).toBe(4);
  });

  it('have at most the application scopes and the scopes of their role', async () => {
    const team = await newTeam();
    const bob = await join(team, 'developer');
    const create = (scopes?: string[]) =>
      bob.client.apiKeys.create({ body: { name: 'Key', organization_id: team, ...(scopes && { scopes }) } });
    for (const scope of ['audit:read', '*:read', 'organizations:write', 'api-keys:verify', '*:*']) {
      expect(await codeOf(create([scope]))).toBe('beyond_authority');
    }
    expect((await create()).scopes.toSorted()).toEqual([
      'agents:read',
      'api-keys:manage',
      'api-keys:read',
      'events:read',
      'organizations:read',
      'triggers:read',
      'triggers:write',
      'usage:read',
    ]);
  });
});
