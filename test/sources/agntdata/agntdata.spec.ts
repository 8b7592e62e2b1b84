import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { z } from 'zod';
import type { ApiKey } from '#libs/contract/api-key-schemas.js';
import type { Account } from '../../support/deployment.js';
import { eventually } from '../../support/eventually.js';
import { codeOf } from '../../support/rejection.js';
import { plainBlocksOf, readDocument, sha256Of } from '../document.js';
import { startVendor, type Vendor } from '../vendor.js';

/** What agntdata calls a workspace is called an organization here. */

const text = await readDocument('agntdata/agntdata.txt');
/** The published table has lost its lines: each row begins with the name of its column. */
const columns = [...text.split('\nColumnDescription\n')[1]!.matchAll(/^(Name|Created|Last Used|Status)(.+)$/gm)]
  .slice(0, 4)
  .map(([, name, description]) => [name, description]);
const documentedNames = [...text.matchAll(/^ {2}• (.+)$/gm)].map(([, name]) => name!);
/** The numbered steps of the rotation: a line with the number, the title and a text. */
const rotation = [...text.split('\nKey Rotation\n')[1]!.matchAll(/^(\d)\n\n(.+)\n\n(.+)$/gm)].map(
  ([, number, title, words]) => ({ number, title, words: words! }),
);

let vendor: Vendor;
let ada: Account;

beforeAll(async () => {
  vendor = await startVendor();
  ada = await vendor.deployment.account();
});

afterAll(() => vendor.stop());

function newKey(name = 'Production Server', owner = ada) {
  return owner.client.apiKeys.create({ body: { name } });
}

async function newWorkspace(): Promise<string> {
  return (await ada.client.organizations.create({ body: { name: 'Acme' } })).id;
}

function newKeyIn(workspace: string, name: string, owner = ada) {
  return owner.client.apiKeys.create({ body: { name, organization_id: workspace } });
}

/** An application of the customer calls the vendor's API. */
const ask = ({ key }: { key: string }) => vendor.ask({ 'x-api-key': key });

describe('the copy', () => {
  it('is the published document, byte for byte', () => {
    expect(sha256Of(text)).toBe('a73978a61191bded4e0839954947d9a14a4eccf44fb56c9f2a20a7d98b1d85dd');
  });

  it('has no request to run: its steps and its columns are tested', () => {
    expect(plainBlocksOf(text)).toEqual([]);
    expect(text).not.toMatch(/curl|https?:|Authorization|"/);
  });
});

describe('a workspace', () => {
  it('is named in every response about its keys: in lists, verifications, usage and the audit log', async () => {
    const workspace = await newWorkspace();
    const created = await newKeyIn(workspace, 'Production Server');
    const params = { id: created.id };
    expect(created.organization_id).toBe(workspace);
    expect((await ada.client.apiKeys.get({ params })).organization_id).toBe(workspace);
    const { data } = await ada.client.apiKeys.list({ query: { organization_id: workspace } });
    expect(data.map(({ id, organization_id }) => [id, organization_id])).toEqual([[created.id, workspace]]);
    expect((await ada.client.apiKeys.rotate({ params })).organization_id).toBe(workspace);
    const rotated = await ada.client.apiKeys.rotate({ params });

    const service = vendor.deployment.client({ apiKey: vendor.serviceKey });
    const { api_key: verified } = await service.apiKeys.verify({ body: { key: rotated.key } });
    expect(verified!.organization_id).toBe(workspace);
    expect(await vendor.deployment.client({ apiKey: rotated.key }).auth.whoami()).toMatchObject({
      api_key: { organization_id: workspace },
    });
    const answer = await fetch(`${vendor.url}/api/v1/agents`, { headers: { 'x-api-key': rotated.key } });
    expect(await answer.json()).toMatchObject({ organization_id: workspace });

    const usage = await eventually(
      () => ada.client.usage.ofOrganization({ params: { id: workspace }, query: { group_by: 'api_key' } }),
      ({ totals }) => totals.uses === 2,
    );
    expect(usage.data).toMatchObject([{ group: created.id, uses: 2 }]);
    const trail = await ada.client.audit.listEvents({ query: { organization_id: workspace, key_id: created.id } });
    expect(new Set(trail.data.map(({ event }) => event.data.organization_id))).toEqual(new Set([workspace]));
    expect((await ada.client.apiKeys.revoke({ params })).organization_id).toBe(workspace);
  });

  it('has one credit balance, which is charged by its own keys only', async () => {
    const [workspace, other] = [await newWorkspace(), await newWorkspace()];
    const grant = (id: string, amount: number) =>
      vendor.operator.client.credits.grant({ params: { id }, body: { amount } });
    const balanceOf = async (id: string) => (await ada.client.credits.get({ params: { id } })).balance;
    await grant(workspace, 3);
    await grant(other, 1);
    const [production, development] = [await newKeyIn(workspace, 'Production'), await newKeyIn(workspace, 'Dev')];
    const elsewhere = await newKeyIn(other, 'Production');

    expect([await ask(production), await balanceOf(workspace)]).toEqual(['200', 2]);
    expect([await ask(development), await balanceOf(workspace)]).toEqual(['200', 1]);
    expect([await ask(production), await balanceOf(workspace)]).toEqual(['200', 0]);
    expect(await ask(production)).toBe('402 insufficient_credits');
    expect(await ask(development)).toBe('402 insufficient_credits');
    expect([await ask(elsewhere), await balanceOf(other)]).toEqual(['200', 0]);

    await grant(workspace, 1);
    expect([await ask(development), await ask(production)]).toEqual(['200', '402 insufficient_credits']);
  });

  it('has many keys, each of which is revoked separately', async () => {
    const workspace = await newWorkspace();
    const names = ['development', 'staging', 'production', 'billing service', 'mail service'];
    const keys = await Promise.all(names.map((name) => newKeyIn(workspace, name)));
    for (const key of keys) expect(await ask(key)).toBe('200');
    await ada.client.apiKeys.revoke({ params: { id: keys[0]!.id } });
    expect(await Promise.all(keys.map(ask))).toEqual(['401 revoked', '200', '200', '200', '200']);
  });

  it('has keys of members, which are revoked when the member leaves', async () => {
    const workspace = await newWorkspace();
    const { token } = await ada.client.invitations.create({ params: { id: workspace }, body: { role: 'developer' } });
    const bob = await vendor.deployment.account(token);
    const [ofBob, ofAda] = [await newKeyIn(workspace, 'Bob', bob), await newKeyIn(workspace, 'Ada')];
    expect([await ask(ofBob), await ask(ofAda)]).toEqual(['200', '200']);
    await ada.client.members.remove({ params: { id: workspace, user_id: bob.userId }, query: { revoke_keys: 'true' } });
    expect([await ask(ofBob), await ask(ofAda)]).toEqual(['401 revoked', '200']);
  });
});

describe('a new key', () => {
  it('is shown once, in the response that creates it: a lost key must be replaced', async () => {
    const { id, key } = await newKey();
    const params = { id };
    const later = [
      await ada.client.apiKeys.get({ params }),
      await ada.client.apiKeys.list(),
      await ada.client.apiKeys.update({ params, body: { name: 'Renamed' } }),
      await ada.client.apiKeys.revoke({ params }),
    ];
    for (const answer of later) expect(JSON.stringify(answer)).not.toContain(key.slice(-22));
    expect(await ask(await newKey())).toBe('200');
  });

  it('accepts every name in the document, also those that it advises against', async () => {
    expect(documentedNames).toEqual([
      'Production API Server',
      'Development Local',
      'CI/CD Pipeline',
      'Analytics Service',
      'Key 1',
      'Test',
      'My Key',
      'asdf',
    ]);
    for (const name of documentedNames) expect(await newKey(name)).toMatchObject({ name });
  });
});

/**
 * The document's columns, filled from one row of a list only. The document knows two statuses: a key that works is
 * Active, and every other key is Revoked. That includes disabled and expired keys, which the document does not have.
 */
function row(key: z.infer<typeof ApiKey>) {
  return {
    Name: key.name,
    Created: key.created_at,
    'Last Used': key.last_used_at,
    Status: key.status === 'active' ? 'Active' : 'Revoked',
  };
}

describe('the list', () => {
  it('has the documented columns from one request, for all keys of the workspace in any status', async () => {
    expect(columns).toEqual([
      ['Name', 'The descriptive name you assigned'],
      ['Created', 'When the key was created'],
      ['Last Used', 'Most recent API call with this key'],
      ['Status', 'Active or Revoked'],
    ]);
    const workspace = await newWorkspace();
    const make = (name: string) => newKeyIn(workspace, name);
    const used = await make('1 used');
    const unused = await make('2 unused');
    const disabled = await make('3 disabled');
    const revoked = await make('4 revoked');
    const expired = await make('5 expired');
    const soon = new Date(Date.now() + 60_000).toISOString();
    await ada.client.apiKeys.update({ params: { id: expired.id }, body: { expires_at: soon } });
    expect(await ask(used)).toBe('200');
    await ada.client.apiKeys.disable({ params: { id: disabled.id } });
    await ada.client.apiKeys.revoke({ params: { id: revoked.id } });
    vendor.deployment.advance(61_000);
    const { data } = await eventually(
      () => ada.client.apiKeys.list({ query: { organization_id: workspace, sort: 'name' } }),
      ({ data: [first] }) => first!.last_used_at !== null,
    );
    const answers = await Promise.all([used, unused, disabled, revoked, expired].map(ask));
    vendor.deployment.advance(-61_000);

    expect(data.map(row)).toEqual([
      { Name: '1 used', Created: used.created_at, 'Last Used': expect.stringMatching(/Z$/), Status: 'Active' },
      { Name: '2 unused', Created: unused.created_at, 'Last Used': null, Status: 'Active' },
      { Name: '3 disabled', Created: disabled.created_at, 'Last Used': null, Status: 'Revoked' },
      { Name: '4 revoked', Created: revoked.created_at, 'Last Used': null, Status: 'Revoked' },
      { Name: '5 expired', Created: expired.created_at, 'Last Used': null, Status: 'Revoked' },
    ]);
    expect(Object.keys(row(data[0]!))).toEqual(columns.map(([name]) => name));
    // Each key that is listed as Active works, and each key that is listed as Revoked does not.
    expect(answers.map((answer) => (answer === '200' ? 'Active' : 'Revoked'))).toEqual(
      data.map((key) => row(key).Status),
    );
  });
});

describe('a revocation', () => {
  it('is immediate and permanent, and the key stays in the list', async () => {
    const key = await newKey();
    const params = { id: key.id };
    expect(await ask(key)).toBe('200');
    await ada.client.apiKeys.revoke({ params });
    expect(await ask(key)).toBe('401 revoked');

    expect(await codeOf(ada.client.apiKeys.enable({ params }))).toBe('conflict');
    expect(await codeOf(ada.client.apiKeys.rotate({ params }))).toBe('conflict');
    expect(await ask(key)).toBe('401 revoked');
    const listed = (await ada.client.apiKeys.list({ query: { search: key.public_key } })).data;
    expect(listed.map(row)).toMatchObject([{ Name: 'Production Server', Status: 'Revoked' }]);
  });
});

describe('the rotation', () => {
  it('has these steps, which are tested below', () => {
    expect(rotation.map(({ number, title }) => `${number} ${title}`)).toEqual([
      '1 Create New Key',
      '2 Update Applications',
      '3 Revoke Old Key',
    ]);
  });

  it('follows its steps: both keys work while the applications are updated, and the old one stops when it is revoked', async () => {
    const old = await newKey();
    const [, name] = /name like “(.+)”/.exec(rotation[0]!.words)!;
    const next = await newKey(name);
    expect(next.name).toBe('Production Server (Rotated April 2024)');

    expect([await ask(old), await ask(next)]).toEqual(['200', '200']);
    expect([await ask(old), await ask(next)]).toEqual(['200', '200']);

    await ada.client.apiKeys.revoke({ params: { id: old.id } });
    expect([await ask(old), await ask(next)]).toEqual(['401 revoked', '200']);
  });
});
