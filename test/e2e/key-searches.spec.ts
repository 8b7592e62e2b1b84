import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Client } from '#libs/client/client.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { outcomeOf } from '../support/rejection.js';
import { waitingStatements } from '../support/waiting-statements.js';

/** More than there are connections. */
const MANY = 8;

let deployment: Deployment;
let ada: Account;
let bob: Account;
let bystander: Account;
let team: string;

beforeAll(async () => {
  deployment = await startDeployment({ worker: false });
  ada = await deployment.account();
  bob = await deployment.account();
  bystander = await deployment.account();
  team = (await ada.client.organizations.create({ body: { name: 'Team' } })).id;
});
afterAll(() => deployment.stop());

const held = () => waitingStatements(deployment.sql, 'keyledger_api statements');

/** Whatever searches all keys of an organization. */
const searches: Record<string, (client: Client, organizationId: string) => Promise<unknown>> = {
  'a list': (client, id) => client.apiKeys.list({ query: { organization_id: id, breaks_policy: 'true' } }),
  'a count of the keys to review': (client, id) => client.apiKeys.countToReview({ query: { organization_id: id } }),
  'a preview of a bulk change': (client, id) =>
    client.apiKeys.previewBulkChange({
      body: { organization_id: id, action: 'revoke', filter: { breaks_policy: true } },
    }),
  'a preview of a key policy': (client, id) =>
    client.keyPolicy.preview({ params: { id }, body: { require_expiry: true } }),
};

describe('searches of many keys', () => {
  it.each(Object.keys(searches))('leave connections for other statements: %s', async (what) => {
    const search = ({ client, organizationId }: Account) =>
      Array.from({ length: MANY }, () => outcomeOf(searches[what]!(client, organizationId)));
    const blocker = await deployment.sql.connect();
    const sent = [];
    try {
      // Every search takes as long as this lock is held.
      await blocker.query('BEGIN; LOCK TABLE api_key IN ACCESS EXCLUSIVE MODE');
      sent.push(...search(ada));
      expect(await eventually(held, (count) => count >= 2)).toBe(2);
      // The searches of another organization do not wait for those that came before.
      sent.push(...search(bob));
      expect(await eventually(held, (count) => count >= 4)).toBe(4);
      expect(await outcomeOf(bystander.client.audit.listEvents({ query: {} }))).toBe('done');
      expect(await held()).toBe(4);
    } finally {
      await blocker.query('ROLLBACK');
      blocker.release();
    }
    expect(new Set(await Promise.all(sent))).toEqual(new Set(['done']));
  });

  it('of one member do not keep those of another waiting', async () => {
    const { token } = await ada.client.invitations.create({ params: { id: team }, body: { role: 'admin' } });
    await bob.client.invitations.accept({ body: { token } });
    const ended: Account[] = [];
    const search = async (by: Account) => {
      await searches['a list']!(by.client, team);
      ended.push(by);
    };
    const blocker = await deployment.sql.connect();
    const sent: Promise<void>[] = [];
    try {
      await blocker.query('BEGIN; LOCK TABLE api_key IN ACCESS EXCLUSIVE MODE');
      for (let n = 0; n < MANY; n++) sent.push(search(bob));
      await eventually(held, (count) => count >= 2);
      sent.push(search(ada));
      await sleep(100);
    } finally {
      await blocker.query('ROLLBACK');
      blocker.release();
    }
    await Promise.all(sent);
    expect(ended.indexOf(ada)).toBeLessThan(MANY / 2);
  });
});
