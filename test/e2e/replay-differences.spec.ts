import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type pg from 'pg';
import { OF_ALL, OF_DEPLOYMENT, OF_ORGANIZATION, type Compared } from '#libs/replay/compared.js';
import { replayLogs } from '#libs/replay/replay.js';
import { startDeployment, type Deployment } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { newWorld, type World } from '../support/history-world.js';
import { everyOperation, perform } from '../support/random-history.js';

let deployment: Deployment;

beforeAll(async () => {
  deployment = await startDeployment();
  const world = await newWorld(deployment);
  // Repeated, so that there are several objects of each kind, also after those that remove some.
  for (let n = 0; n < 2; n++) for (const one of everyOperation) await perform(world, one);
  await newCustomer(world);
  deployment.advance(120_000);
  await allIngested(deployment);
}, 120_000);

afterAll(() => deployment.stop());

/** An organization that still has everything: a balance, a key with limits, and uses of it. */
async function newCustomer({ operator }: World): Promise<void> {
  const { client, organizationId: id } = await deployment.account();
  await operator.client.credits.grant({ params: { id }, body: { amount: 100 } });
  for (const name of ['First', 'Second']) {
    const { key } = await client.apiKeys.create({
      body: { name, scopes: ['triggers:read'], rate_limits: [{ name: 'a', limit: 5, window_seconds: 1 }] },
    });
    const { status } = await fetch(`${deployment.url}/authz`, { headers: { 'x-api-key': key } });
    expect(status).toBe(200);
  }
}

/** What a replay finds after some statements, in a transaction that ends without a trace. */
async function foundAfter(statements: readonly string[]): Promise<{ found: unknown[]; changed: number }> {
  const client = await deployment.sql.connect();
  try {
    await client.query('BEGIN');
    // Triggers and foreign keys would reject what the replay must find.
    await client.query('SET LOCAL session_replication_role = replica');
    const { rows: tables } = await client.query<{ name: string }>(
      `SELECT DISTINCT tgrelid::regclass::text AS name FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'A'
       AND tgrelid::regclass::text NOT LIKE 'audit%'`,
    );
    for (const { name } of tables) await client.query(`ALTER TABLE ${name} DISABLE TRIGGER USER`);
    await client.query('ALTER TABLE invitation DROP CONSTRAINT invitation_check');
    let changed = 0;
    for (const statement of statements) changed += (await client.query(statement)).rowCount ?? 0;
    const same = {
      query: (text: string, values?: unknown[]) =>
        /^(BEGIN|ROLLBACK)/.test(text) ? Promise.resolve({ rows: [] }) : client.query(text, values),
    };
    const found: unknown[] = [];
    for await (const { differences, gap, leftOut } of replayLogs(same as pg.ClientBase)) {
      found.push(...differences.map(({ kind, field }) => `${kind}.${field}`), ...leftOut, ...(gap ? [gap] : []));
    }
    return { found, changed };
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
}

const columns = [...OF_ORGANIZATION, ...OF_DEPLOYMENT, OF_ALL].flatMap((compared) =>
  Object.entries(compared.columns).map(([field, { sql }]) => {
    return { compared, field, sql, place: `${compared.kind}.${field}` };
  }),
);
/** One replay finds several changes, most of them to objects of different kinds. */
const GROUPS = 9;
const groups = Array.from({ length: GROUPS }, (_, group) => columns.filter((__, at) => at % GROUPS === group));

/** Columns whose change needs more than a new value of its type. */
const SPECIAL: Readonly<Record<string, string>> = {
  'organization.leak_policy': `UPDATE organization SET leak_policy = CASE leak_policy WHEN 'report' THEN 'revoke' ELSE 'report' END`,
  'member.role': `UPDATE membership SET role = CASE role WHEN 'viewer' THEN 'admin' ELSE 'viewer' END`,
  'invitation.role': `UPDATE invitation SET role = CASE role WHEN 'viewer' THEN 'admin' ELSE 'viewer' END`,
  'api_key.environment': `UPDATE api_key SET environment = CASE environment WHEN 'test' THEN 'live' ELSE 'test' END`,
  'api_key.number': 'UPDATE api_key SET number = DEFAULT',
  'api_key.counted_limits': 'UPDATE api_key_rate SET quota = quota + 1',
  'api_key.created_by': 'UPDATE api_key SET created_by_id = gen_random_uuid()',
  'secret.api_key_id': `UPDATE api_key_secret s SET api_key_id = (
    SELECT other.id FROM api_key k JOIN api_key other USING (organization_id)
    WHERE k.id = s.api_key_id AND other.id <> k.id LIMIT 1)`,
  'secret.shown': `UPDATE api_key_secret SET handle = overlay(handle PLACING '00' FROM 5 FOR 2)`,
  'usage_day.count':
    'UPDATE api_key_usage_hour SET counts = array_append(counts, 1), credits = array_append(credits, NULL)',
  'usage_day.credits':
    'UPDATE api_key_usage_hour SET counts = array_append(counts, NULL), credits = array_append(credits, 1)',
};

/** Which row to change, where any would do more than the change of one field. */
const ROWS: Readonly<Record<string, string>> = {
  // Two keys cannot have a current secret of the same key.
  'secret.api_key_id': 'ended_at IS NOT NULL',
};

const OTHER_VALUE: Readonly<Record<string, (column: string) => string>> = {
  text: (column) => `coalesce(${column}, '') || 'x'`,
  boolean: (column) => `NOT ${column}`,
  integer: (column) => `${column} + 1`,
  bigint: (column) => `${column} + 1`,
  uuid: () => 'gen_random_uuid()',
  'timestamp with time zone': (column) => `coalesce(${column} + interval '1 microsecond', now())`,
  ARRAY: (column) => `array_append(coalesce(${column}, '{}'), 'other:scope')`,
  jsonb: () => `'[{"name": "other", "limit": 1, "window_seconds": 1}]'`,
};

/** Changes one column of one row that the replay compares. */
async function changeOf(compared: Compared, field: string, sql: string): Promise<string> {
  const place = `${compared.kind}.${field}`;
  const special = SPECIAL[place];
  const table = special?.split(' ')[1] ?? tableOf(compared);
  const column = /\bt\.(\w+)/.exec(field === 'revoked_at' ? 't.revoked_at' : sql)![1]!;
  const { rows } = await deployment.sql.query<{ data_type: string }>(
    'SELECT data_type FROM information_schema.columns WHERE table_name = $1 AND column_name = $2',
    [table, column],
  );
  const update = special ?? `UPDATE ${table} SET ${column} = ${OTHER_VALUE[rows[0]!.data_type]!(column)}`;
  return `${update} WHERE ctid = (${rowOf(compared, place)})`;
}

/** Selects a row that the replay compares: some links to operators, for example, are not in a log. */
function rowOf({ kind, from }: Compared, place: string | null): string {
  const conditions = [
    ...(kind === 'invitation'
      ? [kindIsOfDeployment(from) ? 'organization_id IS NULL' : 'organization_id IS NOT NULL']
      : []),
    ...(kind === 'organization' ? [`id <> '00000000-0000-0000-0000-000000000000'`] : []),
    ...(kind === 'operator' ? ['operator_since IS NOT NULL'] : []),
    ...(place !== null && ROWS[place] ? [ROWS[place]] : []),
  ];
  const table = (place !== null && SPECIAL[place]?.split(' ')[1]) || tableOf({ kind, from });
  return `SELECT ctid FROM ${table} ${conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : ''} LIMIT 1`;
}

function tableOf({ kind, from }: Pick<Compared, 'kind' | 'from'>): string {
  return kind === 'usage_day' ? 'api_key_usage_hour' : /FROM (\w+) t/.exec(from)![1]!;
}

function kindIsOfDeployment(from: string): boolean {
  return from.includes('organization_id IS NULL');
}

describe('a replay of the audit logs', () => {
  it('finds no difference without a change', async () => {
    expect((await foundAfter([])).found).toEqual([]);
  });

  it.each(groups.map((group) => ({ group, places: group.map(({ place }) => place).toSorted() })))(
    'names exactly the fields that were changed in the database: $places',
    async ({ group, places }) => {
      const statements: string[] = [];
      for (const { compared, field, sql } of group) statements.push(await changeOf(compared, field, sql));
      const { found, changed } = await foundAfter(statements);
      expect({ found: found.map(String).toSorted(), changed }).toEqual({ found: places, changed: places.length });
    },
  );

  it.each([...OF_ORGANIZATION, ...OF_DEPLOYMENT, OF_ALL])(
    'names an object that is missing in the database: $kind',
    async (compared) => {
      const { kind } = compared;
      const table = tableOf(compared);
      const remove = kind === 'operator' ? 'UPDATE user_account SET operator_since = NULL' : `DELETE FROM ${table}`;
      const { found, changed } = await foundAfter([`${remove} WHERE ctid = (${rowOf(compared, null)})`]);
      expect(changed).toBe(1);
      // What belongs to the object is missing too.
      expect(found).toContain(`${kind}.null`);
    },
  );

  it.each([
    [
      'member',
      `INSERT INTO membership SELECT p.id, u.id, 'owner', now() FROM organization p, user_account u
       WHERE p.personal AND p.id <> u.personal_organization_id LIMIT 1`,
    ],
    [
      'operator',
      `UPDATE user_account SET operator_since = now() WHERE ctid = (
       SELECT ctid FROM user_account WHERE operator_since IS NULL LIMIT 1)`,
    ],
    [
      'secret',
      `INSERT INTO api_key_secret SELECT gen_random_uuid(), api_key_id, 'other', hash, digest, created_at, now()
       FROM api_key_secret LIMIT 1`,
    ],
    [
      'grant',
      `INSERT INTO credit_grant SELECT gen_random_uuid(), organization_id, 1, 1, NULL, NULL, now()
       FROM credit_grant LIMIT 1`,
    ],
    [
      'balance',
      `INSERT INTO credit SELECT o.id, 7, 0 FROM organization o
       WHERE o.personal AND o.id NOT IN (SELECT organization_id FROM credit) LIMIT 1`,
    ],
  ])('names an object that no event explains: %s', async (kind, statement) => {
    expect(await foundAfter([statement])).toEqual({ found: [`${kind}.null`], changed: 1 });
  });

  it('does not go on past an entry that cannot be read, and says which', async () => {
    const { found } = await foundAfter([
      `UPDATE audit_segment SET body = set_byte(body, 29, get_byte(body, 29) # 255)
       WHERE ctid = (SELECT ctid FROM audit_segment LIMIT 1)`,
    ]);
    expect(found).toEqual([
      expect.stringMatching(/^the events \d+ to \d+ of the audit log of org_\w+ cannot be read$/),
      'verifications follow from all audit logs, and one was not replayed',
    ]);
  });

  it('compares every column of these tables, except for those that are listed here', async () => {
    const all = [...OF_ORGANIZATION, ...OF_DEPLOYMENT, OF_ALL];
    const { rows } = await deployment.sql.query<{ name: string; column: string }>(
      `SELECT table_name AS name, column_name AS column FROM information_schema.columns
       WHERE table_name = ANY($1) ORDER BY table_name, ordinal_position`,
      [all.map(tableOf)],
    );
    const missing = rows.filter(({ name, column }) => {
      const used = all
        .filter((compared) => tableOf(compared) === name)
        .flatMap(({ from, key, columns: own }) => [from, ...key, ...Object.values(own).map(({ sql }) => sql)]);
      return !used.some((sql) => new RegExp(`\\b${column}\\b`).test(sql));
    });
    expect(missing.map(({ name, column }) => `${name}.${column}`)).toEqual(Object.keys(NOT_COMPARED));
  });
});

const NOT_COMPARED: Readonly<Record<string, string>> = {
  'api_key_secret.hash': 'the log has no hashes of secrets and passwords',
  'api_key_secret.digest': 'the log has no hashes of secrets and passwords',
  'api_key_usage_hour.project_id': '`audit check` compares the hours',
  'invitation.token_hash': 'the log has no hashes of secrets and passwords',
  'organization.shard': 'follows from the id',
  'organization.unused_checked_at': 'the worker remembers whose turn it is',
  'user_account.password_hash': 'the log has no hashes of secrets and passwords',
};
