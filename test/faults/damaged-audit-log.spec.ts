import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createClient, type Client } from '#libs/client/client.js';
import { toUuid } from '#libs/contract/ids.js';
import { checkedLogs, fillAuditLog } from '../support/audit-log.js';
import { store } from '../support/events.js';
import { eventually } from '../support/eventually.js';
import { keyNumber, newOrganization, use } from '../support/ingesting.js';
import { rejection } from '../support/rejection.js';
import { startProcesses, type Processes } from './processes.js';

let deployment: Processes;

beforeAll(async () => {
  deployment = await startProcesses({ apis: 1 });
});

afterAll(() => deployment.stop());

/** Changes a byte of a body, as a failing disk might. Called twice, it repairs the body. */
async function flip(table: 'audit_body' | 'audit_segment', where: string, organizationId: string): Promise<void> {
  await deployment.sql.query(`ALTER TABLE ${table} DISABLE TRIGGER USER`);
  const { rowCount } = await deployment.sql.query(
    `UPDATE ${table} SET body = set_byte(body, 40, get_byte(body, 40) # 255) WHERE organization_id = $1 AND ${where}`,
    [toUuid(organizationId)],
  );
  expect(rowCount).toBe(1);
}

describe('a damaged bundle', () => {
  const SIZE = 14 * 256;
  /** The damaged one is behind the first ones, which an export has sent when it finds the damage. */
  const BUNDLE = 10;
  const [FIRST, LAST] = [BUNDLE * 256, BUNDLE * 256 + 255];
  let organizationId: string;
  let client: Client;
  const problem = () => ({
    status: 500,
    code: 'audit_log_damaged',
    detail: `The events ${FIRST} to ${LAST} of the audit log of ${organizationId} cannot be read`,
  });

  beforeAll(async () => {
    const { url } = deployment.apis[0]!;
    const account = { email: 'ada@example.com', password: 'nine lamps above the quay' };
    const registered = await createClient({ baseUrl: url }).auth.register({ body: { ...account, name: 'Ada' } });
    organizationId = registered.organization.id;
    const { access_token: accessToken } = await createClient({ baseUrl: url }).auth.login({ body: account });
    client = createClient({ baseUrl: url, accessToken });
    await deployment.worker.stop();
    const uses = { organizationId, apiKeyId: keyNumber(1), data: { ip: '192.0.2.1' }, path: '/v1/' };
    await fillAuditLog(deployment.sql, SIZE, uses);
    await flip('audit_body', `index = ${BUNDLE}`, organizationId);
  });

  it('has its events named by the response, and hides no other event', async () => {
    for (const order of ['asc', 'desc'] as const) {
      const read: number[] = [];
      const readAll = async () => {
        for (let cursor: string | undefined; ;) {
          const page = await client.audit.listEvents({ query: { order, limit: 64, cursor } });
          read.push(...page.data.map(({ leaf_index: index }) => index));
          cursor = page.next_cursor!;
        }
      };
      const refused = await rejection(readAll());
      expect(refused.problem).toMatchObject(problem());
      // A page reads one event more than it has, so the last page before the damage is missing, too.
      const readable = order === 'asc' ? FIRST : SIZE - 1 - LAST;
      expect(read.length).toBeGreaterThanOrEqual(readable - 64);
      expect(read.length).toBeLessThanOrEqual(readable);
    }
  });

  it('cuts off an export, and the log of the API says where', async () => {
    const response = await client.audit.exportEvents({ query: {} });
    let text = '';
    const readAll = async () => {
      for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) text += chunk;
    };
    await expect(readAll()).rejects.toThrow('terminated');
    const lines = text.split('\n').slice(0, -1);
    expect(lines.map((line) => (JSON.parse(line) as { leaf_index: number }).leaf_index)).toEqual(
      Array.from({ length: FIRST }, (_, n) => n),
    );
    const logged = await eventually(
      () => Promise.resolve(deployment.apis[0]!.output),
      (output) => output.includes('An export of'),
    );
    expect(logged).toContain(`An export of ${organizationId} ended at event ${FIRST}`);
  });

  it('is logged with its cause', () => {
    const lines = deployment.apis[0]!.output.split('\n').filter((line) => line.includes('/audit/events failed'));
    // One line for each of the two failed requests.
    expect(lines).toHaveLength(2);
    expect(lines[0]).toContain(problem().detail);
  });
});

it('a damaged segment stops the events of its shard and of no other, and they follow once it is repaired', async () => {
  const { sql, worker } = deployment;
  // Both are ingested by the same job.
  const [hurt, other] = [await newOrganization(sql, 1), await newOrganization(sql, 5)];
  const sizeOf = async (id: string) => {
    const { rows } = await sql.query<{ size: number }>(
      'SELECT size::float8 AS size FROM audit_log WHERE organization_id = $1',
      [toUuid(id)],
    );
    return rows[0]?.size ?? 0;
  };
  const uses = (id: string, count: number) => Array.from({ length: count }, () => use(id, { subject: keyNumber(2) }));
  const before = { organizationId: hurt, apiKeyId: keyNumber(2), data: { ip: '192.0.2.1' }, path: '/v1/' };
  await fillAuditLog(sql, 200, before);
  await flip('audit_segment', 'first = 0', hurt);
  await store(sql, hurt, uses(hurt, 100));
  await store(sql, other, uses(other, 100));

  await worker.killAndRestart();
  expect(
    await eventually(
      () => sizeOf(other),
      (size) => size === 100,
    ),
  ).toBe(100);
  const said = `The events 0 to 199 of the audit log of ${hurt} cannot be read`;
  const logged = await eventually(
    () => Promise.resolve(worker.output),
    (output) => output.includes(said),
  );
  expect(logged).toContain(said);
  expect(await sizeOf(hurt)).toBe(200);

  await flip('audit_segment', 'first = 0', hurt);
  expect(
    await eventually(
      () => sizeOf(hurt),
      (size) => size === 300,
    ),
  ).toBe(300);
  for (const id of [hurt, other]) expect(await checkedLogs(sql, id)).toMatchObject([{ difference: null }]);
  expect((await sql.query('SELECT FROM event_quarantine')).rowCount).toBe(0);
});
