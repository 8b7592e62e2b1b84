import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import type pg from 'pg';
import { checkAuditLogs } from '#libs/audit/audit-check.js';
import { AuditReader } from '#libs/audit/audit-reader.js';
import { createClient } from '#libs/client/client.js';
import { toUuid } from '#libs/contract/ids.js';
import { openCheckpoint, type Checkpoint } from '#libs/tlog/checkpoint.js';
import { decodeEntries } from '#libs/tlog/entries.js';
import { parseVkey } from '#libs/tlog/note.js';
import { verifyConsistency, verifyInclusion } from '#libs/tlog/proofs.js';
import { replayLogs } from '#libs/replay/replay.js';
import { Shell } from '../cli/command.js';
import { checkedLogs, fillAuditLog } from '../support/audit-log.js';
import { bodyPartitions, runAuditUpkeep, setAuditTime } from '../support/audit-retention.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { allIngested } from '../support/events.js';

const DAY_MS = 86_400_000;
/** Entries of a month: two or three bundles, and an end inside the next one. */
const MONTHLY = 700;
const DATA = { ip: '192.0.2.1', user_agent: null, request_id: null, seq: 1, method: 'GET', cost: 1, scopes: [] };

let deployment: Deployment;
let shell: Shell;
let operator: Account;
/** Keeps 90 days. */
let ada: Account;
/** Keeps everything, until the end of the year. */
let bob: Account;
let now: Date;
/** What an auditor of Ada's log kept each month. */
const kept: { readonly note: string; readonly checkpoint: Checkpoint }[] = [];
const months: string[] = [];

async function moveTo(time: Date): Promise<void> {
  now = time;
  await setAuditTime(deployment.sql, time);
}

const laterBy = (days: number) => moveTo(new Date(now.getTime() + days * DAY_MS));
/** Twice: the first round records the state of the organization, and the second one prunes what is before. */
const upkeep = async () => {
  for (let round = 0; round < 2; round++) {
    await runAuditUpkeep(deployment.database);
    await allIngested(deployment);
  }
};
const retentionOf = ({ client, organizationId: id }: Account) => client.audit.getRetention({ params: { id } });
const sizeOf = ({ organizationId }: Pick<Account, 'organizationId'>) =>
  new AuditReader(deployment.sql).size(organizationId);

async function grow({ organizationId }: Account, count: number): Promise<void> {
  const apiKeyId = 'key_01h455vb4pex5vsknk084sn02q';
  const uses = { organizationId, apiKeyId, data: DATA, path: '/v1/', at: now };
  await fillAuditLog(deployment.sql, (await sizeOf({ organizationId })) + count, uses);
}

async function checkpointOf({ client, organizationId: id }: Account) {
  const vkeys = (await (await client.audit.vkeys({ params: { id } })).text()).trim().split('\n');
  const note = await (await client.audit.checkpoint({ params: { id } })).text();
  return { note, checkpoint: openCheckpoint(note, vkeys.map(parseVkey)) };
}

const problemOf = (code: string) => ({ problem: { code } });
const bytes = (base64: string) => new Uint8Array(Buffer.from(base64, 'base64'));
const tile = async ({ client, organizationId: id }: Account, path: string) =>
  new Uint8Array(await (await client.audit.tile({ params: { id, tile: path } })).arrayBuffer());

/** A year, in which Ada's log is pruned every month. */
beforeAll(async () => {
  deployment = await startDeployment();
  shell = await Shell.open();
  operator = await deployment.operator();
  ada = await deployment.account();
  bob = await deployment.account();
  await allIngested(deployment);
  await moveTo(new Date('2027-01-05T12:00:00Z'));
  await operator.client.deployment.setAuditRetention({ params: { id: ada.organizationId }, body: { days: 90 } });
  await allIngested(deployment);
  await shell.signIn(deployment.url, ada);
  for (let month = 0; month < 12; month++) {
    await moveTo(new Date(Date.UTC(2027, month, 5, 12)));
    await upkeep();
    await grow(ada, MONTHLY);
    await grow(bob, MONTHLY);
    months.push(`audit_body_2027_${String(month + 1).padStart(2, '0')}`);
    kept.push(await checkpointOf(ada));
    const args = ['audit', 'verify', '--organization', ada.organizationId, '--state', join(shell.home, 'state')];
    const { code, stdout, stderr } = await shell.run(args);
    // 2: some entries were pruned.
    if (code !== ((await retentionOf(ada)).pruned_below === null ? 0 : 2)) throw new Error(stdout + stderr);
  }
}, 120_000);

afterAll(async () => {
  await shell.close();
  await deployment.stop();
});

describe('after a year, a log with a retention of 90 days', () => {
  let minimum: number;
  let size: number;

  beforeAll(async () => {
    minimum = (await retentionOf(ada)).pruned_below!;
    size = await sizeOf(ada);
  });

  it('has lost the whole bundles that are older, and nothing else', async () => {
    expect(minimum % 256).toBe(0);
    const { data } = await ada.client.audit.listEvents({ query: { order: 'asc', limit: 1 } });
    expect(data).toMatchObject([{ leaf_index: minimum }]);
    const { rows } = await deployment.sql.query<{ index: string; old: boolean }>(
      `SELECT index, latest < $2 AS old FROM audit_bundle WHERE organization_id = $1 ORDER BY audit_bundle.index`,
      [toUuid(ada.organizationId), new Date(now.getTime() - 90 * DAY_MS)],
    );
    expect(rows.filter(({ old }) => old).map(({ index }) => Number(index) * 256)).toEqual(
      Array.from({ length: minimum / 256 }, (_, n) => n * 256),
    );
    expect(minimum).toBeGreaterThan(8 * MONTHLY);
    expect(size - minimum).toBeGreaterThan(3 * MONTHLY);
  });

  it('records in itself what was pruned', async () => {
    const { data } = await ada.client.audit.listEvents({ query: { type: 'audit_log.pruned', order: 'asc' } });
    const ranges = data.map(({ event }) => [event.data['from'], event.data['below']]);
    expect(ranges.at(-1)![1]).toBe(minimum);
    // Earlier records may have been pruned themselves.
    for (const [n, [from]] of ranges.entries()) if (n > 0) expect(from).toBe(ranges[n - 1]![1]);
  });

  it('is listed from its minimum on, in both orders, and says where it ends', async () => {
    for (const order of ['asc', 'desc'] as const) {
      const found: number[] = [];
      let cursor: string | undefined;
      do {
        const page = await ada.client.audit.listEvents({ query: { order, limit: 100, ...(cursor && { cursor }) } });
        expect(page.pruned_below).toBe(minimum);
        found.push(...page.data.map((item) => item.leaf_index));
        cursor = page.next_cursor ?? undefined;
      } while (cursor !== undefined);
      const expected = Array.from({ length: size - minimum }, (_, n) => minimum + n);
      expect(found).toEqual(order === 'asc' ? expected : expected.toReversed());
    }
  });

  it('is searched from its minimum on, by terms and by search rows', async () => {
    for (const query of [{ ip: '192.0.2.1' }, { type: 'user.registered,audit_log.*' }, { not_ip: '192.0.2.1' }]) {
      const { data } = await ada.client.audit.listEvents({ query: { ...query, order: 'asc', limit: 100 } });
      for (const item of data) expect(item.leaf_index).toBeGreaterThanOrEqual(minimum);
    }
    expect((await ada.client.audit.listEvents({ query: { type: 'user.registered' } })).data).toEqual([]);
  });

  it('is exported from its minimum on', async () => {
    const text = await (await ada.client.audit.exportEvents({ query: {} })).text();
    const indexes = text
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { leaf_index: number }).leaf_index);
    expect(indexes).toEqual(Array.from({ length: size - minimum }, (_, n) => minimum + n));
  });

  it('names what was pruned where a caller asks for it', async () => {
    const { client, organizationId: id } = ada;
    const detail = expect.stringContaining(`below ${minimum} `);
    const problem = { problem: { status: 410, code: 'audit_log_pruned', detail } };
    const calls = [
      () => client.audit.tile({ params: { id, tile: 'entries/000' } }),
      () => client.audit.tile({ params: { id, tile: 'entries/000.p/3' } }),
      () => client.audit.proveEvent({ params: { leaf_index: 0 }, query: {} }),
      () => client.audit.receipt({ params: { leaf_index: minimum - 1 }, query: {} }),
      () => client.audit.tail({ query: {}, headers: { 'last-event-id': '7' } }),
      // No checkpoint ended in this bundle.
      () => client.audit.proveConsistency({ query: { from: bundleWithoutCheckpoint() * 256 + 1 } }),
      () => client.audit.tile({ params: { id, tile: `0/00${bundleWithoutCheckpoint()}` } }),
    ];
    for (const call of calls) await expect(call()).rejects.toMatchObject(problem);
  });

  it('is not sent as it is stored either', async () => {
    for (const coding of ['zstd', 'identity']) {
      const response = await fetch(`${deployment.url}/tlog/${ada.organizationId}/tile/entries/000`, {
        headers: { authorization: `Bearer ${ada.accessToken}`, 'accept-encoding': coding },
      });
      expect(response.status).toBe(410);
      expect(await response.json()).toMatchObject({ code: 'audit_log_pruned' });
    }
  });

  const bundleWithoutCheckpoint = () => {
    const signed = new Set(kept.map(({ checkpoint }) => Math.floor(checkpoint.size / 256)));
    return Array.from({ length: 10 }, (_, n) => n).find((n) => !signed.has(n))!;
  };

  it('is followed from its last event on', async () => {
    const { body } = await ada.client.audit.tail({ query: {}, headers: { 'last-event-id': String(size - 2) } });
    const reader = body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    while (!text.includes(`"leaf_index":${size - 1}`)) text += (await reader.read()).value!;
    expect(text).not.toContain(`"leaf_index":${size - 2}`);
    await reader.cancel();
  });

  it('proves every checkpoint that was ever signed', async () => {
    const { checkpoint: present } = await checkpointOf(ada);
    expect(kept.filter(({ checkpoint }) => checkpoint.size % 256 > 0)).not.toHaveLength(0);
    for (const { checkpoint } of kept) {
      const { proof, from_root, to_root, to } = await ada.client.audit.proveConsistency({
        query: { from: checkpoint.size, to: present.size },
      });
      expect(bytes(from_root)).toEqual(checkpoint.root);
      expect(bytes(to_root)).toEqual(present.root);
      verifyConsistency(checkpoint, { size: to, root: present.root }, proof.map(bytes));
    }
  });

  it('proves the entries that are left', async () => {
    for (const index of [minimum, minimum + 300, size - 1]) {
      const {
        leaf_hash,
        root,
        proof,
        size: of,
      } = await ada.client.audit.proveEvent({
        params: { leaf_index: index },
        query: {},
      });
      verifyInclusion({ index, hash: bytes(leaf_hash) }, { size: of, root: bytes(root) }, proof.map(bytes));
    }
    const receipt = await ada.client.audit.receipt({ params: { leaf_index: minimum }, query: {} });
    expect(await receipt.text()).toContain('c2sp.org/tlog-proof');
    expect(decodeEntries(await tile(ada, `entries/0${String(minimum / 256).padStart(2, '0')}`))).toHaveLength(256);
  });

  it('is replayed in full, from the state that was recorded before the pruning', async () => {
    const client = await deployment.sql.connect();
    try {
      for await (const { events, gap } of replayLogs(client, ada.organizationId)) {
        expect({ events, gap }).toEqual({ events: size - minimum, gap: null });
      }
    } finally {
      client.release();
    }
  });

  it('is checked as far as it is left', async () => {
    expect(await checkedLogs(deployment.sql, ada.organizationId)).toEqual([
      { organizationId: ada.organizationId, size, minimum, difference: null },
    ]);
    const env = { DATABASE_URL: deployment.database.adminUrl };
    expect(await shell.run(['audit', 'check', '--organization', ada.organizationId], { env })).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(`Checked 1 audit log with ${size - minimum} entries`),
    });
  });

  it('is verified in part, with exit code 2, and continues what was verified before', async () => {
    const state = join(shell.home, 'state');
    const verify = async (...args: string[]) => {
      const { code, stdout } = await shell.run(['audit', 'verify', ...args, '--json']);
      return { code, ...(JSON.parse(stdout) as object) };
    };
    expect(await verify('--organization', ada.organizationId, '--state', state)).toMatchObject({
      code: 2,
      result: 'incomplete',
      pruned_below: minimum,
      continues: kept.at(-1)!.checkpoint.size,
      size,
    });
    const file = join(shell.home, 'pruned.jsonl');
    expect(
      await shell.run(['audit', 'export', '--proofs', '--organization', ada.organizationId, '--output', file]),
    ).toMatchObject({ code: 0 });
    expect(await verify(file)).toMatchObject({ code: 2, result: 'incomplete', pruned_below: minimum, size });
  });

  it('is found to be tampered with if what is left of it was changed', async () => {
    const id = toUuid(ada.organizationId);
    const of = 'organization_id = $1 AND index = 1';
    const { rows } = await deployment.sql.query<{ root: Buffer }>(`SELECT root FROM audit_bundle WHERE ${of}`, [id]);
    const setRoot = async (root: Uint8Array) => {
      await deployment.sql.query('ALTER TABLE audit_bundle DISABLE TRIGGER append_only');
      await deployment.sql.query(`UPDATE audit_bundle SET root = $2 WHERE ${of}`, [id, root]);
      await deployment.sql.query('ALTER TABLE audit_bundle ENABLE ALWAYS TRIGGER append_only');
    };
    await setRoot(Buffer.alloc(32));
    try {
      const { code, stdout } = await shell.run(['audit', 'verify', '--organization', ada.organizationId, '--json']);
      expect({ code, ...(JSON.parse(stdout) as object) }).toMatchObject({ code: 1, result: 'tampered' });
      expect(await checkedLogs(deployment.sql, ada.organizationId)).toMatchObject([{ difference: expect.any(String) }]);
    } finally {
      await setRoot(rows[0]!.root);
    }
  });
});

describe('the check of a pruned log', () => {
  const changes: Record<string, string> = {
    'changed leaf hashes': 'UPDATE audit_kept_tile SET hashes = set_byte(hashes, 7, get_byte(hashes, 7) # 255)',
    'lost leaf hashes of a signed tree': 'DELETE FROM audit_kept_tile',
    'a lost root': 'DELETE FROM audit_bundle WHERE index = 0',
    'a changed time': "UPDATE audit_bundle SET newest = newest + interval '1 day' WHERE index = 0",
    'a lost body of what is left':
      'DELETE FROM audit_body b USING audit_log l WHERE l.organization_id = b.organization_id AND b.index * 256 = l.minimum_index',
    'a lower minimum':
      'UPDATE audit_log SET minimum_index = minimum_index - 256, erased_index = 0 WHERE minimum_index > 0',
  };

  it.each(Object.entries(changes))('finds %s', async (_, sql) => {
    const client = await deployment.sql.connect();
    try {
      await client.query('BEGIN');
      for (const table of ['audit_log', 'audit_bundle', 'audit_body', 'audit_kept_tile']) {
        await client.query(`ALTER TABLE ${table} DISABLE TRIGGER USER`);
      }
      expect((await client.query(sql)).rowCount).toBeGreaterThan(0);
      // The check runs in this transaction.
      const same = {
        query: (text: string, values?: unknown[]) =>
          /^(BEGIN|ROLLBACK)/.test(text) ? Promise.resolve({ rows: [] }) : client.query(text, values),
      };
      const found: (string | null)[] = [];
      for await (const { difference } of checkAuditLogs(same as pg.ClientBase, ada.organizationId)) {
        found.push(difference);
      }
      expect(found).toEqual([expect.any(String)]);
    } finally {
      await client.query('ROLLBACK');
      client.release();
    }
  });
});

describe('another log', () => {
  it('with no retention is left as it is', async () => {
    expect(await retentionOf(bob)).toEqual({
      days: null,
      default_days: null,
      hold: null,
      pruned_below: null,
      pruned_at: null,
    });
    const { data, pruned_below } = await bob.client.audit.listEvents({ query: { order: 'asc', limit: 1 } });
    expect({ pruned_below, first: data[0]!.leaf_index }).toEqual({ pruned_below: null, first: 0 });
    expect(await checkedLogs(deployment.sql, bob.organizationId)).toMatchObject([{ minimum: 0, difference: null }]);
  });

  it('keeps the partitions of its months', async () => {
    expect(await bodyPartitions(deployment.sql)).toEqual(expect.arrayContaining(months));
  });
});

describe('a legal hold', () => {
  const hold = { params: { id: '' }, body: { reason: 'Case 4711' } };

  beforeAll(() => {
    hold.params.id = ada.organizationId;
  });

  it('is placed and lifted by operators alone', async () => {
    const { params } = hold;
    for (const { client } of [ada, bob]) {
      await expect(client.deployment.placeLegalHold(hold)).rejects.toMatchObject(problemOf('operator_required'));
      await expect(client.deployment.liftLegalHold({ params })).rejects.toMatchObject(problemOf('operator_required'));
      await expect(client.deployment.setAuditRetention({ params, body: { days: 30 } })).rejects.toMatchObject(
        problemOf('operator_required'),
      );
    }
    await expect(bob.client.audit.getRetention({ params })).rejects.toMatchObject(problemOf('not_found'));
  });

  it('keeps everything until a day after it was lifted', async () => {
    const { client } = operator;
    const before = (await retentionOf(ada)).pruned_below;
    expect((await client.deployment.placeLegalHold(hold)).hold).toMatchObject({ reason: 'Case 4711' });
    await expect(client.deployment.placeLegalHold(hold)).rejects.toMatchObject(problemOf('conflict'));
    await laterBy(60);
    await upkeep();
    expect(await retentionOf(ada)).toMatchObject({ pruned_below: before, hold: { reason: 'Case 4711' } });
    await client.deployment.liftLegalHold({ params: hold.params });
    await upkeep();
    expect(await retentionOf(ada)).toMatchObject({ pruned_below: before, hold: null });
    await laterBy(1.1);
    await upkeep();
    expect((await retentionOf(ada)).pruned_below).toBeGreaterThan(before!);
  });

  it('is recorded where the owners and the operators see it', async () => {
    await allIngested(deployment);
    for (const query of [{}, { organization_id: 'org_00000000000000000000000000' }]) {
      const { client } = 'organization_id' in query ? operator : ada;
      const { data } = await client.audit.listEvents({
        query: { ...query, type: 'audit_log.hold_placed,audit_log.hold_lifted' },
      });
      expect(data.map(({ event }) => [event.type, event.data.actor.id, event.data['reason']])).toEqual([
        ['audit_log.hold_lifted', operator.userId, 'Case 4711'],
        ['audit_log.hold_placed', operator.userId, 'Case 4711'],
      ]);
    }
  });
});

describe('the disk', () => {
  it('of a month is returned when every log has pruned it, and all logs stay whole', async () => {
    const signed = await checkpointOf(bob);
    const before = await bodyPartitions(deployment.sql);
    await operator.client.deployment.setAuditRetention({ params: { id: bob.organizationId }, body: { days: 30 } });
    await allIngested(deployment);
    await laterBy(1.1);
    await upkeep();
    const after = await bodyPartitions(deployment.sql);
    expect(before.filter((name) => !after.includes(name))).toEqual(expect.arrayContaining(months.slice(0, 11)));
    for (const account of [ada, bob]) {
      expect(await checkedLogs(deployment.sql, account.organizationId)).toMatchObject([{ difference: null }]);
    }
    const { rows } = await deployment.sql.query(
      'SELECT FROM audit_body JOIN audit_log USING (organization_id) WHERE index * 256 < minimum_index',
    );
    expect(rows).toEqual([]);
    await grow(bob, 300);
    const { from_root } = await bob.client.audit.proveConsistency({ query: { from: signed.checkpoint.size } });
    expect(bytes(from_root)).toEqual(signed.checkpoint.root);
  });
});

describe('a log with nothing but expired entries', () => {
  it('keeps its last entries, which are in no bundle yet, and goes on', async () => {
    await laterBy(400);
    await upkeep();
    const { pruned_below: minimum } = await retentionOf(bob);
    const { data } = await bob.client.audit.listEvents({ query: { order: 'asc', limit: 1 } });
    expect(data[0]?.leaf_index).toBe(minimum);
    await grow(bob, 10);
    expect(await checkedLogs(deployment.sql, bob.organizationId)).toMatchObject([{ minimum, difference: null }]);
  });
});

describe('the default of the deployment', () => {
  it('follows the setting of the API at its start, and the log of the deployment records each change', async () => {
    expect((await retentionOf(ada)).default_days).toBeNull();
    await deployment.restartApi({ AUDIT_RETENTION_DAYS: '365' });
    await deployment.restartApi();
    const params = { id: ada.organizationId };
    // The API has another port now.
    const auditFor = async ({ accessToken }: Account) =>
      createClient({ baseUrl: await deployment.api.getUrl(), accessToken }).audit;
    expect(await (await auditFor(ada)).getRetention({ params })).toMatchObject({ days: 90, default_days: 365 });
    await deployment.restartApi({ AUDIT_RETENTION_DAYS: '' });
    expect(await (await auditFor(ada)).getRetention({ params })).toMatchObject({ days: 90, default_days: null });
    await allIngested(deployment);
    const { data } = await (
      await auditFor(operator)
    ).listEvents({
      query: { organization_id: 'org_00000000000000000000000000', type: 'audit_log.retention_changed' },
    });
    const changes = data.map(({ event }) => [event.data.actor.type, event.data['before'], event.data['after']]);
    expect(changes.filter(([actor]) => actor === 'system')).toEqual([
      ['system', 365, null],
      ['system', null, 365],
    ]);
  });
});
