import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { toUuid } from '#libs/contract/ids.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { allIngested } from '../support/events.js';

let deployment: Deployment;
let ada: Account;
let keyId: string;

/** Creates one of everything that can end, and ends it. */
beforeAll(async () => {
  deployment = await startDeployment({ env: { DEFAULT_CREDITS: '1000' } });
  ada = await deployment.account();
  const { client } = ada;
  const operator = await deployment.operator();
  const { id: organizationId } = await client.organizations.create({ body: { name: 'Engines' } });
  const params = { id: organizationId };
  const withdrawn = await client.invitations.create({ params, body: { role: 'viewer' } });
  await client.invitations.revoke({ params: { ...params, invitation_id: withdrawn.id } });
  const { token } = await client.invitations.create({ params, body: { role: 'viewer' } });
  await deployment.account(token);
  const project = await client.projects.create({ body: { name: 'Old' } });
  await client.projects.delete({ params: { id: project.id }, query: {} });
  const closed = await client.projects.create({ body: { name: 'Closed with its key' } });
  await client.apiKeys.create({ body: { name: 'Closed', scopes: ['triggers:read'], project_id: closed.id } });
  await client.projects.delete({ params: { id: closed.id }, query: { api_keys: 'revoke' } });
  const { id, key } = await client.apiKeys.create({ body: { name: 'Old', scopes: ['triggers:read'] } });
  const askGateway = async (wanted: number) => {
    const { status } = await fetch(`${deployment.url}/authz?scope=none`, { headers: { 'x-api-key': key } });
    if (status !== wanted) throw new Error(`The gateway was answered ${status}, not ${wanted}`);
  };
  await deployment.client({ apiKey: key }).auth.whoami();
  await askGateway(200);
  const service = await client.apiKeys.create({ body: { name: 'Service', scopes: ['api-keys:verify'] } });
  await deployment.client({ apiKey: service.key }).apiKeys.verify({ body: { key } });
  await client.apiKeys.rotate({ params: { id }, body: { grace_period_seconds: 3600 } });
  await client.apiKeys.delete({ params: { id } });
  await askGateway(401);
  keyId = toUuid(id);
  await client.audit.checkpoint({ params: { id: organizationId } });
  await deployment.sql.query(
    'UPDATE audit_signing_key SET ends_at = now(), private_key = NULL, compromised = true WHERE number = 1',
  );
  const { token: resetToken } = await operator.client.deployment.createPasswordReset({ body: { email: ada.email } });
  await deployment.client().auth.refresh({ body: { refresh_token: ada.refreshToken } });
  await deployment.client().auth.resetPassword({
    body: { token: resetToken, new_password: 'nine lamps above the quay' },
  });
  await allIngested(deployment);
});

afterAll(() => deployment.stop());

async function as(url: string, sql: string): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await client.query(sql);
  } finally {
    await client.end();
  }
}

const INSUFFICIENT_PRIVILEGE = '42501';
const expectRefused = (url: string, sql: string) =>
  expect(as(url, sql)).rejects.toMatchObject({ code: INSUFFICIENT_PRIVILEGE });

/** Changes that the service never makes, and that its database login cannot make either. */
const byTheApi = [
  'UPDATE authz_state SET seq = seq - 1, tag = tag + 1',
  'UPDATE authz_state SET seq = 0',
  'UPDATE authz_state SET seq = seq + 1',
  'UPDATE authz_state SET tag = tag + 1',
  'UPDATE authz_state SET shard = shard + 100, seq = seq + 1, tag = tag + 1',
  'DELETE FROM authz_state',
  'INSERT INTO authz_state VALUES (99, 0, 0)',
  'DELETE FROM authz_change',
  'UPDATE authz_change SET seq = 0',
  'UPDATE api_key SET revoked_at = NULL',
  "UPDATE api_key SET revoked_at = now() + interval '1 day' WHERE revoked_at IS NOT NULL",
  'UPDATE api_key SET deleted_at = NULL',
  'UPDATE api_key SET id = gen_random_uuid()',
  'UPDATE api_key SET organization_id = (SELECT min(id::text)::uuid FROM organization)',
  'UPDATE api_key SET number = DEFAULT',
  'UPDATE api_key SET accountable_user_id = (SELECT id FROM user_account WHERE id <> accountable_user_id LIMIT 1)',
  `MERGE INTO api_key k USING api_key s ON k.id = s.id WHEN MATCHED THEN UPDATE SET revoked_at = NULL`,
  'MERGE INTO api_key k USING api_key s ON k.id = s.id WHEN MATCHED THEN DELETE',
  'DELETE FROM api_key',
  'UPDATE api_key_secret SET ended_at = NULL WHERE ended_at IS NOT NULL',
  "UPDATE api_key_secret SET ended_at = ended_at + interval '1 hour'",
  'UPDATE api_key_secret SET handle = md5(handle)',
  'UPDATE api_key_secret SET id = gen_random_uuid()',
  'DELETE FROM api_key_secret',
  'UPDATE session SET ended_at = NULL',
  "UPDATE session SET expires_at = expires_at + interval '1 year'",
  'UPDATE session SET user_id = (SELECT id FROM user_account WHERE id <> user_id LIMIT 1)',
  'UPDATE refresh_token SET used_at = NULL',
  'UPDATE refresh_token SET session_id = (SELECT id FROM session WHERE id <> session_id LIMIT 1)',
  'UPDATE invitation SET accepted_at = NULL',
  'UPDATE invitation SET revoked_at = NULL',
  "UPDATE invitation SET expires_at = expires_at + interval '1 year'",
  "UPDATE invitation SET role = 'owner'",
  'UPDATE password_reset SET used_at = NULL',
  'UPDATE password_reset SET user_id = created_by',
  'UPDATE project SET deleted_at = NULL',
  'UPDATE project SET organization_id = (SELECT id FROM organization WHERE id <> organization_id LIMIT 1)',
  'UPDATE membership SET user_id = gen_random_uuid()',
  'UPDATE organization SET personal = NOT personal',
  'UPDATE user_account SET personal_organization_id = (SELECT min(id::text)::uuid FROM organization)',
  'UPDATE credit SET organization_id = gen_random_uuid()',
  'UPDATE credit_grant SET amount = 1',
  'DELETE FROM credit_grant',
  'UPDATE api_key_usage SET uses = 0',
  'UPDATE api_key_usage_hour SET counts = NULL',
  'UPDATE audit_log SET size = size + 1',
  'UPDATE audit_epoch SET origin = NULL',
  "UPDATE audit_epoch SET anchor_id = ''",
  'UPDATE audit_epoch SET anchor_sequence = anchor_sequence - 1',
  'UPDATE audit_signing_key SET ends_at = NULL',
  "UPDATE audit_signing_key SET ends_at = ends_at + interval '1 day'",
  "UPDATE audit_signing_key SET private_key = '\\x00'",
  'UPDATE audit_signing_key SET compromised = false',
  'UPDATE audit_signing_key SET public_key = public_key',
  'DELETE FROM audit_signing_key',
  'DELETE FROM outbox',
  'DELETE FROM event_quarantine',
  'UPDATE signing_key SET private_key = private_key',
  'DELETE FROM signing_key',
];

const byTheWorker = [
  'UPDATE audit_log SET size = size - 1',
  'UPDATE audit_log SET size = 0',
  'UPDATE audit_log SET organization_id = gen_random_uuid()',
  `UPDATE audit_log SET organization_id = '${'0'.repeat(8)}-0000-0000-0000-000000000000', size = size + 1`,
  'DELETE FROM audit_log',
  `INSERT INTO audit_log SELECT id, 7 FROM organization o WHERE NOT EXISTS
     (SELECT FROM audit_log l WHERE l.organization_id = o.id)`,
  `INSERT INTO audit_log SELECT organization_id, 0 FROM audit_log
     ON CONFLICT (organization_id) DO UPDATE SET size = excluded.size`,
  `MERGE INTO audit_log l USING audit_log s ON l.organization_id = s.organization_id
     WHEN MATCHED THEN UPDATE SET size = 0`,
  'MERGE INTO audit_log l USING audit_log s ON l.organization_id = s.organization_id WHEN MATCHED THEN DELETE',
  'UPDATE ingest SET shard = shard + 100',
  'DELETE FROM ingest',
  'DELETE FROM authz_change',
  'UPDATE authz_state SET seq = seq + 1, tag = tag + 1',
  'DELETE FROM event_quarantine',
  "UPDATE event_quarantine SET reason = ''",
  'UPDATE outbox SET body = body',
  'UPDATE api_key_usage SET uses = 0',
  'UPDATE api_key_usage SET denials = denials - 1',
  "UPDATE api_key_usage SET last_used_at = last_used_at - interval '1 day'",
  'UPDATE api_key_usage SET last_used_at = NULL',
  'UPDATE api_key_usage SET api_key_id = gen_random_uuid()',
  'DELETE FROM api_key_usage',
  'UPDATE api_key_usage_hour SET counts[1] = counts[1] - 1',
  'UPDATE api_key_usage_hour SET counts[1] = NULL',
  "UPDATE api_key_usage_hour SET counts = '{}'",
  'UPDATE api_key_usage_hour SET credits = array_fill(0, ARRAY[cardinality(credits)])',
  'UPDATE api_key_endpoint SET names = names[2:]',
  "UPDATE api_key_endpoint SET names[1] = '(some)'",
  'UPDATE api_key_endpoint SET management = NOT management',
  'DELETE FROM api_key_endpoint',
  "UPDATE api_key_usage_hour SET hour = hour - interval '1 hour'",
  'UPDATE api_key_usage_hour SET organization_id = gen_random_uuid()',
  'UPDATE api_key_usage_hour SET management = NOT management',
  'UPDATE api_key_verifications SET count = count - 1',
  "UPDATE api_key_verifications SET last_at = last_at - interval '1 day'",
  'UPDATE api_key_verifications SET api_key_id = gen_random_uuid()',
  'DELETE FROM api_key_verifications',
  "UPDATE api_key_revocation SET revoked_at = revoked_at + interval '1 day'",
  'DELETE FROM api_key_usage_hour',
  "UPDATE api_key_secret_usage SET last_used_at = last_used_at - interval '1 day'",
  'DELETE FROM api_key_notice',
  'UPDATE api_key SET revoked_at = NULL',
];

/** Attempts to remove or bypass the triggers. */
const byEither = [
  'SET session_replication_role = replica',
  'SET ROLE keyledger_owner',
  'RESET ROLE; SET ROLE keyledger_owner',
  'ALTER TABLE audit_log DISABLE TRIGGER ALL',
  'ALTER TABLE audit_log DISABLE TRIGGER never_back_update',
  'DROP TRIGGER never_back_update ON audit_log',
  'ALTER TABLE api_key DISABLE TRIGGER never_back_update',
  "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
  'DROP FUNCTION refuse_change() CASCADE',
  'CREATE RULE quietly AS ON UPDATE TO audit_log DO INSTEAD NOTHING',
  'CREATE TRIGGER mine BEFORE UPDATE ON audit_log FOR EACH ROW EXECUTE FUNCTION refuse_change()',
  'TRUNCATE audit_log CASCADE',
  'TRUNCATE authz_state',
  'TRUNCATE api_key_usage',
  'ALTER TABLE audit_log OWNER TO CURRENT_USER',
  'CREATE TABLE public.mine ()',
  'CREATE SCHEMA mine',
  'SELECT protect_audit_partition($$audit_body_default$$::regclass)',
];

describe('changes that the database logins of the processes cannot undo', () => {
  it.each(byTheApi)('of the API: %s', (sql) => expectRefused(deployment.database.apiUrl, sql));
  it.each(byTheWorker)('of the worker: %s', (sql) => expectRefused(deployment.database.workerUrl, sql));
  it.each(byEither)('of either: %s', async (sql) => {
    await expectRefused(deployment.database.apiUrl, sql);
    await expectRefused(deployment.database.workerUrl, sql);
  });

  it('a partition of the audit log by its own name', async () => {
    const { rows } = await deployment.sql.query<{ name: string }>(
      `SELECT relid::regclass::text AS name FROM pg_partition_tree('audit_body')`,
    );
    expect(rows.length).toBeGreaterThan(3);
    const { apiUrl, workerUrl } = deployment.database;
    for (const { name } of rows) {
      for (const sql of [
        `UPDATE ${name} SET terms = terms`,
        `DELETE FROM ${name}`,
        `TRUNCATE ${name}`,
        `DROP TABLE ${name}`,
        `ALTER TABLE ${name} DISABLE TRIGGER ALL`,
        `ALTER TABLE audit_body DETACH PARTITION ${name}`,
      ]) {
        await expectRefused(apiUrl, sql);
        await expectRefused(workerUrl, sql);
      }
    }
  });

  it('a key that has expired', async () => {
    const { client } = await deployment.account();
    const body = { name: 'Short', scopes: ['triggers:read'], expires_in_days: 1 };
    const { id } = await client.apiKeys.create({ body });
    const set = (value: string) => `UPDATE api_key SET expires_at = ${value} WHERE id = '${toUuid(id)}'`;
    await as(deployment.database.apiUrl, set("now() - interval '2 minutes'"));
    for (const value of ['NULL', "now() + interval '1 day'", "expires_at - interval '1 day'"])
      await expectRefused(deployment.database.apiUrl, set(value));
  });
});

it('the changes that the service makes are allowed', async () => {
  const { rows } = await deployment.sql.query('SELECT revoked_at, deleted_at FROM api_key WHERE id = $1', [keyId]);
  expect(rows).toEqual([{ revoked_at: expect.any(Date), deleted_at: expect.any(Date) }]);
  await deployment.sql.query("UPDATE authz_change SET created_at = now() - interval '2 hours'");
  await as(deployment.database.workerUrl, "DELETE FROM authz_change WHERE created_at < now() - interval '1 hour'");
  const newcomer = await deployment.account();
  await allIngested(deployment);
  const { data } = await newcomer.client.audit.listEvents({ query: {} });
  expect(data.length).toBeGreaterThan(1);
});
