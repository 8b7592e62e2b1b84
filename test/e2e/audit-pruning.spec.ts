import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { toUuid } from '#libs/contract/ids.js';
import { fillAuditLog, storedEntries } from '../support/audit-log.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { allIngested } from '../support/events.js';
import { outcomeOfAll, type Statement } from '../support/role-statements.js';
import { builtModule } from '../support/built-module.js';

const { leafHashOf } = await builtModule<typeof import('#libs/audit/log-growth.js')>('#libs/audit/log-growth.js');

/** Ten bundles, and a few entries. */
const SIZE = 2_600;
const DEPLOYMENT = '00000000-0000-0000-0000-000000000000';
/** Of all entries, and when their bundles were sealed. */
const RECORDED = '2026-11-20T19:55:17.055Z';

let deployment: Deployment;
let ada: Account;
let id: string;

beforeAll(async () => {
  deployment = await startDeployment();
  ada = await deployment.account();
  id = toUuid(ada.organizationId);
  await allIngested(deployment);
  await fillAuditLog(deployment.sql, SIZE, {
    organizationId: ada.organizationId,
    apiKeyId: 'key_01h455vb4pex5vsknk084sn02q',
    data: {},
    path: '/v1/',
    at: new Date(RECORDED),
  });
  await change([
    'ALTER TABLE audit_bundle DISABLE TRIGGER append_only',
    // The first entries of the log are of the account.
    `UPDATE audit_bundle SET sealed_at = '${RECORDED}', latest = '${RECORDED}'`,
    'ALTER TABLE audit_bundle ENABLE ALWAYS TRIGGER append_only',
  ]);
});

afterAll(() => deployment.stop());

async function change(statements: readonly string[]): Promise<void> {
  for (const sql of statements) await deployment.sql.query(sql);
}

const timeIs = (time: string) =>
  `CREATE OR REPLACE FUNCTION audit_time() RETURNS timestamptz LANGUAGE sql STABLE AS $$SELECT '${time}'::timestamptz$$`;
/** The id of the log, which is the only one with bundles. */
const ADA = '(SELECT organization_id FROM audit_log WHERE size > 1000)';
const keeps = (days: number, of = ADA) => `INSERT INTO audit_retention (organization_id, days) VALUES (${of}, ${days})`;
const bundle = (index: number, column: string, time: string) => [
  'ALTER TABLE audit_bundle DISABLE TRIGGER append_only',
  `UPDATE audit_bundle SET ${column} = '${time}' WHERE index = ${index}`,
];

const DEFAULT = `'${DEPLOYMENT}'`;
/** 90 days after the entries, and after this test set the retention. */
const LATER = '2027-02-18T19:55:17.056Z';
const SOON = '2026-11-21T00:00:00Z';
const set90 = [timeIs(SOON), keeps(90)];

describe('what has expired', () => {
  const cases: Record<string, [readonly string[], number]> = {
    'nothing without a retention': [[timeIs('2099-01-01T00:00:00Z')], 0],
    'nothing within the retention, to the millisecond': [[...set90, timeIs('2027-02-18T19:55:17.055Z')], 0],
    'all full bundles after it': [[...set90, timeIs(LATER)], 2560],
    'nothing after a bundle that was sealed later': [
      [...bundle(4, 'sealed_at', '2026-11-20T20:00:00Z'), ...set90, timeIs(LATER)],
      1024,
    ],
    'nothing after a bundle with a later event': [
      [...bundle(4, 'latest', '2026-11-20T20:00:00Z'), ...set90, timeIs(LATER)],
      1024,
    ],
    'nothing under a legal hold': [
      [...set90, `UPDATE audit_retention SET hold_reason = 'x', held_since = now()`, timeIs(LATER)],
      0,
    ],
    'nothing on the day after a hold was lifted': [
      [
        ...set90,
        `UPDATE audit_retention SET hold_reason = 'x', held_since = now()`,
        timeIs(LATER),
        'UPDATE audit_retention SET hold_reason = NULL, held_since = NULL',
        timeIs('2027-02-19T19:55:17.056Z'),
      ],
      0,
    ],
    'nothing on the day after a change': [[timeIs(LATER), keeps(30), timeIs('2027-02-19T19:55:17.056Z')], 0],
    'all after that day': [[timeIs(LATER), keeps(30), timeIs('2027-02-19T19:55:17.057Z')], 2560],
    'what the default says': [[timeIs(SOON), keeps(90, DEFAULT), timeIs(LATER)], 2560],
    'nothing on the day after a change of the default': [
      [timeIs(LATER), keeps(30, DEFAULT), timeIs('2027-02-19T00:00:00Z')],
      0,
    ],
    'what the organization says, not the default': [[...set90, keeps(30, DEFAULT), timeIs('2027-01-20T00:00:00Z')], 0],
    'what the organization says, on the day after a change of the default': [
      [...set90, timeIs(LATER), keeps(365, DEFAULT)],
      2560,
    ],
  };

  it.each(Object.entries(cases))('is %s', async (_, [statements, expected]) => {
    const client = await deployment.sql.connect();
    try {
      await client.query('BEGIN');
      for (const sql of statements) await client.query(sql);
      const { rows } = await client.query('SELECT audit_log_expired_below($1)::int AS below', [id]);
      expect(rows).toEqual([{ below: expected }]);
    } finally {
      await client.query('ROLLBACK');
      client.release();
    }
  });
});

describe('with a retention that has ended for ten bundles, the worker', () => {
  /** Runs the statements as the worker in a transaction that is taken back. */
  const outcomeOf = (...statements: readonly Statement[]) => outcomeOfAll(deployment.database.workerUrl, statements);

  const prune = (below: unknown, log: unknown = id) => ['SELECT prune_audit_log($1, $2)', log, below] as const;
  const keep = (index: number, hashes: unknown) => ['SELECT keep_audit_tile($1, $2, $3)', id, index, hashes] as const;
  const expired = 'these entries have not expired';
  let hashes: Buffer;

  beforeAll(async () => {
    await change([...set90, timeIs(LATER), `INSERT INTO audit_signed_bundle VALUES ('${id}', 3)`]);
    const entries = await storedEntries(deployment.sql, ada.organizationId);
    hashes = Buffer.concat(entries.slice(768, 1024).map(({ entry }) => leafHashOf(entry)));
  });

  it('prunes what has expired', async () => {
    expect(await outcomeOf(prune(768))).toBe('done');
    expect(await outcomeOf(keep(3, hashes), prune(2560))).toBe('done');
  });

  it('prunes no bundle in which a signed or the anchored tree ended, unless its leaf hashes are kept', async () => {
    expect(await outcomeOf(prune(1024))).toBe('the leaf hashes of a signed tree would be lost');
    await change([`INSERT INTO audit_anchored_bundle VALUES ('${id}', 2)`]);
    expect(await outcomeOf(prune(768))).toBe('the leaf hashes of a signed tree would be lost');
    expect(await outcomeOf(prune(512))).toBe('done');
    await change([`DELETE FROM audit_anchored_bundle`]);
  });

  it.each<[string, () => unknown]>([
    ['of another bundle', () => Buffer.concat([hashes.subarray(32), hashes.subarray(0, 32)])],
    ['too few', () => hashes.subarray(32)],
    ['too many', () => Buffer.concat([hashes, hashes])],
    ['none', () => null],
    ['none at all', () => Buffer.alloc(0)],
  ])('keeps no leaf hashes that do not have the root: %s', async (_, given) => {
    expect(await outcomeOf(keep(3, given()))).toBe('these hashes are not those of the bundle');
  });

  it.each<[string, unknown, unknown?]>([
    ['what is not in a full bundle', SIZE],
    ['a bundle that does not exist', 2816],
    ['a part of a bundle', 300],
    ['nothing', 0],
    ['a negative number of entries', -256],
    ['an unknown number of entries', null],
    ['another log', 256, DEPLOYMENT],
    ['a log that does not exist', 256, '01900000-0000-7000-8000-0000000000ff'],
    ['no log', 256, null],
  ])('does not prune %s', async (_, below, log = id) => {
    expect(await outcomeOf(prune(below, log))).toBe(expired);
  });

  it('does not take back what was pruned', async () => {
    expect(await outcomeOf(prune(512), prune(256))).toBe(expired);
    expect(await outcomeOf(prune(512), prune(512))).toBe(expired);
  });

  it('erases nothing that was not pruned', async () => {
    const left = ['SELECT 1 / (count(*) - 8)::int FROM audit_body'] as const;
    const erase = ['SELECT erase_pruned_audit_entries($1, 10000)', id] as const;
    // The division fails if eight bodies are left.
    expect(await outcomeOf(prune(512), erase, left)).toBe('division by zero');
    expect(await outcomeOf(erase, ['SELECT 1 / (count(*) - 10)::int FROM audit_body'])).toBe('division by zero');
    expect(await outcomeOf(['SELECT erase_pruned_audit_entries($1, 10001)', id])).toContain('at most 10000');
    expect(await outcomeOf(['SELECT erase_pruned_audit_entries($1, NULL)', id])).toContain('at most 10000');
  });

  it('drops no partition that a log needs', async () => {
    const { rows } = await deployment.sql.query<{ name: string }>(
      'SELECT DISTINCT tableoid::regclass::text AS name FROM audit_body',
    );
    expect(rows).toHaveLength(1);
    const drop = ['SELECT drop_pruned_audit_partition()'] as const;
    const needed = [`SELECT FROM ${rows[0]!.name}`] as const;
    // The table exists, but the worker may read it only as a part of the whole.
    const isThere = expect.stringContaining('permission denied for table');
    expect(await outcomeOf(drop, drop, drop, needed)).toEqual(isThere);
    expect(await outcomeOf(prune(768), drop, drop, drop, needed)).toEqual(isThere);
    expect(await outcomeOf(keep(3, hashes), prune(2560), drop, drop, drop, needed)).toContain('does not exist');
  });

  it.each<[string, string]>([
    ['reads no retention', 'SELECT FROM audit_retention'],
    ['sets no retention', 'UPDATE audit_retention SET days = 30'],
    ['adds no retention', `INSERT INTO audit_retention (organization_id, days) VALUES ('${DEPLOYMENT}', 30)`],
    ['lifts no hold', 'DELETE FROM audit_retention'],
    ['forgets no signed tree', 'DELETE FROM audit_signed_bundle'],
    ['forgets no anchored tree', 'UPDATE audit_anchored_bundle SET index = 0'],
    ['asks only of what it can prune', `SELECT audit_log_expired_below('${DEPLOYMENT}')`],
    [
      'sets no other time',
      'CREATE OR REPLACE FUNCTION audit_time() RETURNS timestamptz LANGUAGE sql AS $$SELECT now()$$',
    ],
    ['sets no minimum', 'UPDATE audit_log SET minimum_index = 256'],
    ['deletes no kept tile', 'DELETE FROM audit_kept_tile'],
    ['changes no function', 'DROP FUNCTION prune_audit_log'],
  ])('%s', async (_, sql) => {
    expect(await outcomeOf([sql])).toMatch(/permission denied|must be owner/);
  });

  it('does not prune more with a function or a table of its own in front of ours', async () => {
    const temporary = [
      [
        'CREATE TEMPORARY TABLE audit_retention (organization_id uuid, days int, held_since timestamptz, changed_at timestamptz)',
      ],
      [`INSERT INTO audit_retention VALUES ('${DEPLOYMENT}', 0, NULL, '-infinity')`],
      ["CREATE FUNCTION pg_temp.audit_time() RETURNS timestamptz LANGUAGE sql AS $$SELECT 'infinity'::timestamptz$$"],
      ['SET search_path = pg_temp, public'],
    ] as const;
    const outcome = await outcomeOf(...temporary, ['SELECT public.prune_audit_log($1, 256)', DEPLOYMENT]);
    expect(outcome).toMatch(/have not expired|permission denied/);
  });

  it('prunes nothing under a hold, although it was placed only just now', async () => {
    await change([`UPDATE audit_retention SET hold_reason = 'x', held_since = now() WHERE organization_id = '${id}'`]);
    expect(await outcomeOf(prune(256))).toBe(expired);
    expect(await outcomeOf(['SELECT 1 / (count(*))::int FROM prunable_audit_logs()'])).toBe('division by zero');
  });

  it.each([
    'SELECT FROM prunable_audit_logs()',
    `SELECT keep_audit_tile('${DEPLOYMENT}', 0, '')`,
    `SELECT prune_audit_log('${DEPLOYMENT}', 0)`,
    `SELECT erase_pruned_audit_entries('${DEPLOYMENT}', 1)`,
    'SELECT drop_pruned_audit_partition()',
    'DELETE FROM audit_retention',
    'DELETE FROM audit_signed_bundle',
    'UPDATE audit_log SET minimum_index = 256',
    "INSERT INTO audit_kept_tile VALUES (gen_random_uuid(), 0, '')",
  ])('has rights that the API does not have: %s', async (sql) => {
    expect(await outcomeOfAll(deployment.database.apiUrl, [[sql]])).toContain('permission denied');
  });

  it('waits a day after a change, whatever time the API claims for it', async () => {
    const { apiUrl } = deployment.database;
    const claim = "UPDATE audit_retention SET days = 30, changed_at = '-infinity'";
    const read = "SELECT 1 / (count(*) FILTER (WHERE changed_at > '-infinity') - 1)::int FROM audit_retention";
    expect(await outcomeOfAll(apiUrl, [[claim], [read]])).toBe('division by zero');
    expect(await outcomeOfAll(apiUrl, [['UPDATE audit_retention SET days = 29']])).toContain('check constraint');
  });
});

describe('not even a superuser', () => {
  it.each([
    'UPDATE audit_log SET minimum_index = minimum_index - 256, erased_index = 0',
    'UPDATE audit_log SET erased_index = erased_index - 256',
    'UPDATE audit_log SET minimum_index = size + 256 - size % 256',
    'UPDATE audit_log SET minimum_index = minimum_index + 1',
    'DELETE FROM audit_body WHERE index = 1',
    'DELETE FROM audit_management_event WHERE leaf_index >= 256',
    'DELETE FROM audit_kept_tile',
    'UPDATE audit_body SET body = body WHERE index = 1',
  ])('has statements that remove more: %s', async (sql) => {
    const client = await deployment.sql.connect();
    try {
      await client.query('BEGIN');
      await client.query(timeIs(LATER));
      await client.query('UPDATE audit_retention SET hold_reason = NULL, held_since = NULL');
      await client.query(timeIs('2027-02-20T19:55:17.056Z'));
      await client.query('SELECT prune_audit_log($1, 256), erase_pruned_audit_entries($1, 1)', [id]);
      await client.query(`INSERT INTO audit_kept_tile VALUES ($1, 0, '')`, [id]);
      await client.query(
        `INSERT INTO audit_management_event (organization_id, leaf_index, id, entry, type, time, terms)
         VALUES ($1, 256, gen_random_uuid(), '', '', now(), '{}')`,
        [id],
      );
      await expect(client.query(sql)).rejects.toThrow(/append-only|only grows|check constraint/);
    } finally {
      await client.query('ROLLBACK');
      client.release();
    }
  });
});

it('an event is not found by its id from the moment in which it is pruned', async () => {
  const [first] = (await ada.client.audit.listEvents({ query: { order: 'asc', limit: 1 } })).data;
  const find = async () => (await ada.client.find.find({ body: { text: first!.event.id } })).data.length;
  expect(await find()).toBe(1);
  await change([
    'UPDATE audit_retention SET hold_reason = NULL, held_since = NULL',
    timeIs('2027-02-20T19:55:17.056Z'),
    `SELECT prune_audit_log('${id}', 256)`,
  ]);
  expect(await find()).toBe(0);
});
