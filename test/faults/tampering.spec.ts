import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type pg from 'pg';
import { AuditWriter } from '#libs/audit/audit-writer.js';
import { asEnvelope } from '#libs/contract/events.js';
import { toUuid } from '#libs/contract/ids.js';
import { inTransaction } from '#libs/database/database.js';
import { Shell } from '../cli/command.js';
import { checkedLogs, fillAuditLog, storedEntries } from '../support/audit-log.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { allIngested, event, store } from '../support/events.js';
import { randomFrom } from './random.js';
import { readTables, tamperingsOf, type Applied, type Leaves, type Table, type Tampering } from './tampering.js';

/** `TAMPERINGS=1000 npm test -- tampering` is a longer run, and `SEED` selects other rows and values. */
const TRIES = Number(process.env['TAMPERINGS'] ?? 60);
const SEED = Number(process.env['SEED'] ?? 1);
/** Nodes are stored from this size on, and a check of such a log takes a second: the short run tries few of them. */
const NODES_FROM = 65_536;
const FEW = 2;

/** Columns that do not follow from the entries and prove nothing (docs/security-model.md). */
const APART: Record<string, string> = {
  'audit_epoch.started_at': 'says when an operator began the epoch, for people',
  'audit_epoch.anchor_sequence': 'one less than in the anchor is what a crash leaves: it is counted again',
  'audit_log.grown_from': 'within the last segment, it says which of its entries the last transaction appended',
};

let deployment: Deployment;
let shell: Shell;
let ada: Account;
let tables: Table[];
/** A log of three bundles and several segments, with many management events. */
let team: string;
/** A log with tree nodes. */
let large: string;
const random = randomFrom(SEED);

beforeAll(async () => {
  deployment = await startDeployment();
  ada = await deployment.account();
  shell = await Shell.open();
  await shell.signIn(deployment.url, ada);
  team = (await ada.client.organizations.create({ body: { name: 'Team' } })).id;
  large = (await ada.client.organizations.create({ body: { name: 'Large' } })).id;
  const { sql } = deployment;
  await grow(team, 100);
  await putManagementEvents();
  await grow(team, 600);
  await grow(large, NODES_FROM + 10);
  tables = await readTables(sql);
  await keep('early');
  await grow(team, 700);
  await putManagementEvents();
  for (const size of [3 * 256 + 20, 3 * 256 + 21, 3 * 256 + 90]) await grow(team, size);
  for (const organization of [team, large]) {
    const { code, stderr, detail } = await verify(organization, 'first');
    if (code !== 0) throw new Error(detail ?? stderr);
    await copyFile(statePath(organization, 'first'), statePath(organization, 'kept'));
  }
  await keep('kept');
  for (const { name } of tables) await sql.query(`ALTER TABLE ${name} DISABLE TRIGGER USER`);
}, 120_000);

afterAll(async () => {
  await shell?.close();
  await deployment?.stop();
});

async function grow(organizationId: string, size: number): Promise<void> {
  const data = { ip: '2001:db8::7', outcome: 'valid', method: 'GET', secret_id: 'secret_01m7x8e321ef0vf5jtqxppnjy4' };
  const apiKeyId = 'key_01h455vb4pex5vsknk084sn02q';
  await fillAuditLog(deployment.sql, size, { organizationId, apiKeyId, data, path: '/v1/' });
}

/** Management events with a value in each column of their rows. */
async function putManagementEvents(): Promise<void> {
  const project = await ada.client.projects.create({ body: { name: 'Project', organization_id: team } });
  const { id } = await ada.client.apiKeys.create({
    body: { name: 'Key', organization_id: team, project_id: project.id, scopes: ['triggers:read'] },
  });
  await ada.client.apiKeys.update({ params: { id }, body: { name: 'Other name' } });
  await ada.client.apiKeys.rotate({ params: { id } });
  const own = ['192.0.2.0/24', '2001:db8::9', '192.0.2.7'].map((ip, n) =>
    event(team, {
      type: 'test.happened',
      subject: `test ${n}`,
      data: { ip, path: `/v1/${n}`, request_id: `request-${n}` },
    }),
  );
  await store(deployment.sql, team, own);
  await allIngested(deployment);
}

const statePath = (organization: string, name: string) => join(shell.home, `${organization}.${name}`);

async function verify(organization: string, state: string) {
  const args = ['--organization', organization, '--state', statePath(organization, state), '--json'];
  const { code, stdout, stderr } = await shell.run(['audit', 'verify', ...args]);
  const said = (stdout ? JSON.parse(stdout) : {}) as { detail?: string; leaf_index?: number; last_leaf_index?: number };
  return { code, stderr, ...said };
}

/** Keeps a copy of everything. */
async function keep(schema: string): Promise<void> {
  await deployment.sql.query(`CREATE SCHEMA ${schema}`);
  for (const { name } of tables) await deployment.sql.query(`CREATE TABLE ${schema}.${name} AS TABLE ${name}`);
}

/** Brings a table back to its copy: all rows but those of other logs, which nothing has changed. */
async function restore(sql: pg.PoolClient, name: string, schema: string, organization: string): Promise<void> {
  if (name === 'audit_epoch') {
    await sql.query('DELETE FROM audit_epoch');
    await sql.query(`INSERT INTO audit_epoch SELECT * FROM ${schema}.audit_epoch`);
    return;
  }
  await sql.query(
    `DELETE FROM ${name} WHERE organization_id = $1
     OR organization_id NOT IN (SELECT organization_id FROM kept.audit_log)`,
    [toUuid(organization)],
  );
  await sql.query(`INSERT INTO ${name} SELECT * FROM ${schema}.${name} WHERE organization_id = $1`, [
    toUuid(organization),
  ]);
}

/** As the superuser, with all triggers and foreign keys disabled. */
async function asSuperuser<T>(work: (sql: pg.PoolClient) => Promise<T>): Promise<T> {
  return inTransaction(deployment.sql, async (sql) => {
    await sql.query('SET LOCAL session_replication_role = replica');
    return work(sql);
  });
}

const logTables = () => tables.map(({ name }) => name).filter((name) => name !== 'audit_epoch');

/** What changes several tables so that they agree with each other: only a kept checkpoint shows it. */
function wholeTamperings(): Tampering[] {
  const restored = (names: readonly string[], name: string): Tampering => ({
    table: names.length === 1 ? names[0]! : 'all tables',
    name,
    async apply(sql) {
      for (const own of names) await restore(sql, own, 'early', team);
      return { leaves: [], detail: '', isSame: false };
    },
  });
  const rewritten = (name: string, change: (entries: Buffer[]) => Buffer[]): Tampering => ({
    table: 'all tables',
    name,
    async apply(sql) {
      const entries = (await storedEntries(sql, team)).map(({ entry }) => entry);
      for (const own of logTables()) await sql.query(`DELETE FROM ${own} WHERE organization_id = $1`, [toUuid(team)]);
      const sink = new AuditWriter().open();
      const events = change(entries).map((entry) => ({ entry, envelope: asEnvelope(JSON.parse(entry.toString())) }));
      await sink.add(sql, events);
      await sink.write(sql);
      return { leaves: [], detail: '', isSame: false };
    },
  });
  const any = (entries: readonly Buffer[]) => Math.floor(random() * (entries.length - 1));
  return [
    restored(logTables(), 'an old backup restored'),
    ...logTables()
      .filter((name) => name !== 'audit_tree_node')
      .map((name) => restored([name], 'an old backup of one table restored')),
    rewritten('rewritten with another entry', (entries) => {
      const at = any(entries);
      const changed = entries[at]!.toString().replace('"specversion":"1.0"', '"specversion":"1.0" ');
      return entries.with(at, Buffer.from(changed));
    }),
    rewritten('rewritten without an entry', (entries) => entries.toSpliced(any(entries), 1)),
    rewritten('rewritten with two entries exchanged', (entries) => {
      const at = any(entries);
      return entries.with(at, entries[at + 1]!).with(at + 1, entries[at]!);
    }),
    rewritten('rewritten without its last entries', (entries) => entries.slice(0, -1 - any(entries) / 10)),
  ];
}

/** All kinds, in a random order and repeated until there are enough. */
function* selected(): Generator<Tampering & { organization: string }> {
  const inTeam = (tampering: Tampering) => ({ ...tampering, organization: team });
  const kinds = [...tables.flatMap((table) => tamperingsOf(table, toUuid(team), random)), ...wholeTamperings()];
  const nodes = tables.filter(({ name }) => name === 'audit_tree_node');
  const ofNodes = nodes
    .flatMap((table) => tamperingsOf(table, toUuid(large), random))
    .map((tampering) => ({ ...tampering, organization: large }));
  for (;;) {
    const some = TRIES < 1000 ? shuffled(ofNodes).slice(0, FEW) : ofNodes;
    yield* shuffled([...kinds.filter(({ table }) => table !== 'audit_tree_node').map(inTeam), ...some]);
  }
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => [random(), item] as const)
    .toSorted(([a], [b]) => a - b)
    .map(([, item]) => item);
}

/** What the tools say of the log. */
async function judge(organization: string) {
  const [checked] = await checkedLogs(deployment.sql, organization);
  if (checked?.difference) return { said: checked.difference, leaves: leavesIn(checked.difference) };
  await copyFile(statePath(organization, 'kept'), statePath(organization, 'state'));
  const { code, detail = '', leaf_index: first, last_leaf_index: last = first } = await verify(organization, 'state');
  if (code === 1 || code === 2) return { said: detail, leaves: first === undefined ? [] : [[first, last!] as const] };
  return code === 0 ? null : { said: `exit code ${code}`, leaves: [] };
}

/** The leaves that a sentence names. */
function leavesIn(text: string): Leaves[] {
  return [...text.matchAll(/lea(?:f|ves) (\d+)(?: to (\d+))?( on)?/g)].map(([, first, last, isOpen]) => [
    Number(first),
    isOpen ? Infinity : Number(last ?? first),
  ]);
}

const overlap = (one: readonly Leaves[], other: readonly Leaves[]) =>
  one.some(([from, to]) => other.some(([first, last]) => from <= last && first <= to));

/** @returns null if the database rejects the change by an index or a constraint of the table */
async function applied(tampering: Tampering): Promise<Applied | null> {
  try {
    return await asSuperuser((sql) => tampering.apply(sql));
  } catch (error) {
    const { code = '' } = error as { code?: string };
    // Integrity constraints, and values that the type does not have.
    if (/^2[23]/.test(code)) return null;
    throw error;
  }
}

it('whatever a superuser changes in the database is found, with its organization and its leaves', async () => {
  const counts = { found: 0, same: 0, apart: 0, rejected: 0 };
  const missed: unknown[] = [];
  const unnamed: unknown[] = [];
  for (const tampering of selected()) {
    if (counts.found + counts.same + counts.apart >= TRIES) break;
    const { table, name, organization } = tampering;
    const change = await applied(tampering);
    if (!change) {
      counts.rejected += 1;
      continue;
    }
    const judgement = await judge(organization);
    const what = { table, name, ...change, ...judgement };
    const column = `${table}.${name.split(' ')[0]}`;
    if (change.isSame) counts.same += 1;
    else if (judgement) counts.found += 1;
    else if (column in APART) counts.apart += 1;
    else missed.push(what);
    if (judgement && change.leaves.length > 0 && !overlap(judgement.leaves, change.leaves)) unnamed.push(what);
    await asSuperuser(async (sql) => {
      for (const own of table === 'all tables' ? logTables() : [table]) await restore(sql, own, 'kept', organization);
    });
    if (missed.length + unnamed.length > 20) break;
  }
  process.stderr.write(`tampering: SEED=${SEED}; ${JSON.stringify(counts)}\n`);
  expect({ missed, unnamed }).toEqual({ missed: [], unnamed: [] });
  // Everything is as it was, so each try was one of its own.
  for (const organization of [team, large]) {
    expect(await checkedLogs(deployment.sql, organization)).toMatchObject([{ difference: null }]);
    expect(await verify(organization, 'kept')).toMatchObject({ code: 0 });
  }
}, 1_800_000);
