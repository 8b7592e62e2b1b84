import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { newId, toUuid } from '#libs/contract/ids.js';
import { freePort } from '../../apps/cli/free-port.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { Shell } from './command.js';

let deployment: Deployment;
let ada: Account;
let shell: Shell;
let projectId: string;

beforeAll(async () => {
  // Without a worker, all events wait in the outbox.
  deployment = await startDeployment({ worker: false, port: await freePort() });
  shell = await Shell.open();
  ada = await deployment.account();
  projectId = (await ada.client.projects.create({ body: { name: 'Shop' } })).id;
});

afterAll(async () => {
  await shell.close();
  await deployment.stop();
});

const replay = (...args: string[]) =>
  shell.run(['audit', 'replay', ...args], { env: { DATABASE_URL: deployment.database.apiUrl } });

describe('keyledger audit replay', () => {
  it('also reads the events that the worker has not ingested', async () => {
    const { code, stdout, stderr } = await replay('--check');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^Replayed [1-9]\d* events of 2 organizations\. The database is as the audit logs say\.\n$/);
  });

  it('names each difference, with both values, in the text and in the JSON, and ends with 1', async () => {
    const { organizationId } = ada;
    await deployment.sql.query('UPDATE project SET name = $2, description = $3 WHERE id = $1', [
      toUuid(projectId),
      'Forged',
      'Really',
    ]);
    const { code, stdout } = await replay('--check');
    expect(code).toBe(1);
    expect(stdout.split('\n').slice(0, 2)).toEqual([
      `${organizationId}: project ${projectId}: name is "Forged", and "Shop" by the audit log.`,
      `${organizationId}: project ${projectId}: description is "Really", and null by the audit log.`,
    ]);
    expect(stdout).toMatch(/\nReplayed \d+ events of 2 organizations\. Found 2 differences\.\n$/);
    const json = await replay('--check', '--json', '--organization', organizationId);
    expect(json.code).toBe(1);
    const about = { organization_id: organizationId, kind: 'project', id: projectId };
    expect(JSON.parse(json.stdout)).toEqual({
      organizations: 1,
      events: expect.any(Number),
      differences: [
        { ...about, field: 'name', log: 'Shop', database: 'Forged' },
        { ...about, field: 'description', log: null, database: 'Really' },
      ],
      gaps: [],
    });
    await deployment.sql.query(`UPDATE project SET name = 'Shop', description = NULL WHERE id = $1`, [
      toUuid(projectId),
    ]);
  });

  it('names objects that only one of them has', async () => {
    const { organizationId } = ada;
    const forged = newId('proj', new Date());
    await deployment.sql.query(
      `INSERT INTO project (id, organization_id, name, created_at, updated_at, version) VALUES ($1, $2, 'Forged', now(), now(), 1)`,
      [toUuid(forged), toUuid(organizationId)],
    );
    const { code, stdout } = await replay('--check', '--organization', organizationId);
    expect(code).toBe(1);
    expect(stdout).toContain(`${organizationId}: project ${forged} is in the database, and not in the audit log.\n`);
    await deployment.sql.query('DELETE FROM project WHERE id = $1', [toUuid(forged)]);
  });

  it('names what the events leave out, and ends with 2', async () => {
    await deployment.restartApi({ RECORD_ACTOR: 'id' });
    const bob = await deployment.account();
    const { code, stdout } = await replay('--check');
    expect(code).toBe(2);
    const reason = 'the audit log does not say it, because RECORD_ACTOR was id or the event is of an earlier version';
    expect(stdout.split('\n')).toEqual([
      `${bob.organizationId}: not compared: name of 1 organization, because ${reason}.`,
      `${bob.organizationId}: not compared: email of 1 account, because ${reason}.`,
      `${bob.organizationId}: not compared: name of 1 account, because ${reason}.`,
      expect.stringMatching(/^Replayed \d+ events .*\. Found no difference, but not everything could be compared\.$/),
      '',
    ]);
    const { gaps } = JSON.parse((await replay('--check', '--json')).stdout) as { gaps: object[] };
    expect(gaps[0]).toEqual({
      organization_id: bob.organizationId,
      kind: 'organization',
      field: 'name',
      objects: 1,
      reason,
    });
  });

  it('refuses wrong usage', async () => {
    expect(await replay()).toMatchObject({ code: 64, stderr: expect.stringContaining('--check') });
    expect(await replay('--check', '--organization', 'acme')).toMatchObject({ code: 64 });
    const unknown = newId('org', new Date());
    expect(await replay('--check', '--organization', unknown)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`There is no organization ${unknown}.`),
    });
  });
});
