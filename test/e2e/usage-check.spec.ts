import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type pg from 'pg';
import { checkAuditLogs } from '#libs/audit/audit-check.js';
import { fromUuid, toUuid } from '#libs/contract/ids.js';
import { UsageCheck } from '#libs/usage/usage-check.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { allIngested, event, put } from '../support/events.js';

let deployment: Deployment;
let ada: Account;
/** Has uses in two hours, denials, and uses of Keyledger's own API. */
let keyId: string;
let unusedKeyId: string;

const HOUR = '2026-11-20T10';

/** Uses and denials at many endpoints, so that not all are counted separately. */
async function traffic(apiKeyId: string): Promise<Uint8Array[]> {
  const { rows } = await deployment.sql.query<{ id: string }>('SELECT id FROM api_key_secret WHERE api_key_id = $1', [
    toUuid(apiKeyId),
  ]);
  const secretId = fromUuid('secret', rows[0]!.id);
  const { organizationId } = ada;
  const said = (n: number, more: object) => ({
    subject: apiKeyId,
    time: `2026-11-20T${n % 2 === 0 ? 10 : 11}:00:0${n % 10}.000Z`,
    data: { actor: { type: 'api_key', id: apiKeyId }, method: 'GET', path: `/page-${n % 140}`, ...more },
  });
  return Array.from({ length: 420 }, (_, n) =>
    n % 3 === 0
      ? event(organizationId, { type: 'api_key.denied', ...said(n, { code: 'expired', count: 2 }) })
      : event(organizationId, { type: 'api_key.used', ...said(n, { cost: n % 5, secret_id: secretId }) }),
  );
}

beforeAll(async () => {
  deployment = await startDeployment();
  ada = await deployment.account();
  const scopes = ['triggers:read', 'organizations:read'];
  const [key, unused, second] = await Promise.all(
    ['Used', 'Unused', 'Second'].map((name) => ada.client.apiKeys.create({ body: { name, scopes } })),
  );
  [keyId, unusedKeyId] = [toUuid(key!.id), toUuid(unused!.id)];
  await fetch(`${deployment.url}/authz`, { headers: { 'x-api-key': key!.key } });
  await deployment.client({ apiKey: key!.key }).auth.whoami();
  const bob = await deployment.account();
  const service = await bob.client.apiKeys.create({ body: { name: 'Service', scopes: ['api-keys:verify'] } });
  const subject = await bob.client.apiKeys.create({ body: { name: 'Subject', scopes: ['triggers:read'] } });
  for (const wanted of [['triggers:read'], ['events:read']]) {
    await deployment.client({ apiKey: service.key }).apiKeys.verify({ body: { key: subject.key, scopes: wanted } });
  }
  for (const { id } of [key!, second!]) {
    const entries = await traffic(id);
    // Several transactions, in the middle of which endpoints are used for the first time.
    while (entries.length > 0) await put(deployment, ada.organizationId, entries.splice(0, 50));
  }
  deployment.advance(61_000);
  await allIngested(deployment);
}, 60_000);

afterAll(() => deployment.stop());

type Found = { readonly of: string | null; readonly difference: string | null };

/** What the check finds after a statement, in a transaction that ends without a trace. */
async function differencesAfter(sql: string | null, organizationId?: string, maxBytes?: number): Promise<Found[]> {
  const client = await deployment.sql.connect();
  try {
    await client.query('BEGIN');
    // Triggers would reject what the check must find.
    await client.query('SET LOCAL session_replication_role = replica');
    if (sql) {
      for (const table of [
        'api_key_usage',
        'api_key_usage_hour',
        'api_key_endpoint',
        'api_key_secret_usage',
        'api_key_verifications',
      ]) {
        await client.query(`ALTER TABLE ${table} DISABLE TRIGGER USER`);
      }
      const { rowCount } = await client.query(
        sql.replaceAll(':key', `'${keyId}'`).replaceAll(':unused', `'${unusedKeyId}'`),
      );
      expect(rowCount).toBeGreaterThan(0);
    }
    const same = {
      query: (text: string, values?: unknown[]) =>
        /^(BEGIN|ROLLBACK)/.test(text) ? Promise.resolve({ rows: [] }) : client.query(text, values),
    };
    const found: Found[] = [];
    for await (const { organizationId: of, difference } of checkAuditLogs(
      same as pg.ClientBase,
      organizationId,
      new UsageCheck(maxBytes),
    )) {
      if (difference) found.push({ of, difference });
    }
    return found;
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
}

describe('keyledger audit check', () => {
  it('finds no difference in counts as the worker wrote them', async () => {
    expect(await differencesAfter(null)).toEqual([]);
    const { rows } = await deployment.sql.query(
      `SELECT outcome, management, cardinality(counts) AS places FROM api_key_usage_hour WHERE api_key_id = $1`,
      [keyId],
    );
    expect(rows).toEqual(
      expect.arrayContaining([
        { outcome: 'valid', management: false, places: 102 },
        { outcome: 'expired', management: false, places: expect.any(Number) },
        { outcome: 'valid', management: true, places: 3 },
      ]),
    );
  });

  it('reads a log again for the counts that do not fit into memory', async () => {
    expect(await differencesAfter(null, undefined, 1_000)).toEqual([]);
    const last = `UPDATE api_key_usage SET uses = uses + 1 WHERE api_key_id =
      (SELECT max(api_key_id::text)::uuid FROM api_key_usage_hour WHERE hour = '${HOUR}:00Z')`;
    expect(await differencesAfter(last, ada.organizationId, 1_000)).toEqual([
      { of: ada.organizationId, difference: expect.stringContaining('the totals of key_') },
    ]);
  });

  const ofKey: Record<string, readonly [sql: string, difference: string]> = {
    'the number of uses': ['UPDATE api_key_usage SET uses = uses + 1 WHERE api_key_id = :key', 'the totals of key_'],
    'the number of denials': ['UPDATE api_key_usage SET denials = 0 WHERE api_key_id = :key', 'the totals of key_'],
    'the time of the last use': [
      `UPDATE api_key_usage SET last_used_at = last_used_at - interval '1 ms' WHERE api_key_id = :key`,
      'the totals of key_',
    ],
    'the time of the last denial': [
      'UPDATE api_key_usage SET last_denied_at = NULL WHERE api_key_id = :key',
      'the totals of key_',
    ],
    'missing totals': ['DELETE FROM api_key_usage WHERE api_key_id = :key', 'the totals of key_'],
    'the count of an endpoint': [
      `UPDATE api_key_usage_hour SET counts[5] = counts[5] + 1 WHERE api_key_id = :key AND outcome = 'valid' AND hour = '${HOUR}:00Z'`,
      `in the hour ${HOUR}, valid`,
    ],
    'counts that changed their endpoints': [
      `UPDATE api_key_usage_hour SET counts = counts[2:] || counts[1] WHERE api_key_id = :key AND outcome = 'valid' AND hour = '${HOUR}:00Z'`,
      `in the hour ${HOUR}, valid`,
    ],
    'the credits of an endpoint': [
      `UPDATE api_key_usage_hour SET credits[5] = 77 WHERE api_key_id = :key AND outcome = 'valid' AND hour = '${HOUR}:00Z'`,
      `in the hour ${HOUR}, valid`,
    ],
    'the count of denials': [
      `UPDATE api_key_usage_hour SET counts[5] = 77 WHERE api_key_id = :key AND outcome = 'expired' AND hour = '${HOUR}:00Z'`,
      `in the hour ${HOUR}, expired`,
    ],
    'the project of an hour': [
      `UPDATE api_key_usage_hour SET project_id = gen_random_uuid() WHERE api_key_id = :key AND outcome = 'valid' AND hour = '${HOUR}:00Z'`,
      `in the hour ${HOUR}, valid`,
    ],
    'the surface of an hour': [
      `UPDATE api_key_usage_hour SET management = true WHERE api_key_id = :key AND outcome = 'expired' AND hour = '${HOUR}:00Z'`,
      `in the hour ${HOUR}, expired, management`,
    ],
    'another hour': [
      `UPDATE api_key_usage_hour SET hour = hour - interval '1 hour' WHERE api_key_id = :key AND outcome = 'valid' AND hour = '${HOUR}:00Z'`,
      'in the hour 2026-11-20T09, valid',
    ],
    'a part of an hour': [
      `UPDATE api_key_usage_hour SET hour = hour + interval '1 min' WHERE api_key_id = :key AND outcome = 'valid' AND hour = '${HOUR}:00Z'`,
      'in the hour 2026-11-20T10:01',
    ],
    'another organization of an hour': [
      `UPDATE api_key_usage_hour SET organization_id = gen_random_uuid() WHERE api_key_id = :key AND outcome = 'valid' AND hour = '${HOUR}:00Z'`,
      `in the hour ${HOUR}, valid`,
    ],
    'a missing hour': [
      `DELETE FROM api_key_usage_hour WHERE api_key_id = :key AND outcome = 'valid' AND hour = '${HOUR}:00Z'`,
      `in the hour ${HOUR}, valid`,
    ],
    'all hours missing': ['DELETE FROM api_key_usage_hour WHERE api_key_id = :key', 'in every hour'],
    'an hour that no event explains': [
      `INSERT INTO api_key_usage_hour SELECT :unused, hour, outcome, management, organization_id, project_id, counts, credits
       FROM api_key_usage_hour WHERE api_key_id = :key`,
      'the count of key_',
    ],
    'the name of an endpoint': [
      `UPDATE api_key_endpoint SET names[5] = 'GET /other' WHERE api_key_id = :key AND NOT management`,
      'the endpoints of key_',
    ],
    'an endpoint too many': [
      `UPDATE api_key_endpoint SET names = names || 'GET /other'::text WHERE api_key_id = :key AND management`,
      'the endpoints of key_',
    ],
    'missing endpoints': [
      'DELETE FROM api_key_endpoint WHERE api_key_id = :key AND management',
      'the endpoints of key_',
    ],
    'the last use of a secret': [
      `UPDATE api_key_secret_usage SET last_used_at = last_used_at + interval '1 ms' WHERE secret_id IN
         (SELECT id FROM api_key_secret WHERE api_key_id = :key)`,
      'the last use of secret_',
    ],
    'a missing last use': [
      'DELETE FROM api_key_secret_usage WHERE secret_id IN (SELECT id FROM api_key_secret WHERE api_key_id = :key)',
      'the last use of secret_',
    ],
  };

  it.each(Object.entries(ofKey))('finds what was changed or removed: %s', async (_, [sql, difference]) => {
    expect(await differencesAfter(sql, ada.organizationId)).toEqual([
      { of: ada.organizationId, difference: expect.stringContaining(difference) },
    ]);
  });

  const ofAll: Record<string, readonly [sql: string, difference: string]> = {
    'the number of verifications': [
      'UPDATE api_key_verifications SET count = count + 1',
      'the verifications for which key_',
    ],
    'the time of the last verification': [
      `UPDATE api_key_verifications SET last_at = last_at + interval '1 ms'`,
      'the verifications for which key_',
    ],
    'missing verifications': ['DELETE FROM api_key_verifications', 'the verifications for which key_'],
    'verifications in another group': [
      'UPDATE api_key_verifications SET ingest_group = (ingest_group + 1) % 4',
      'the verifications for which key_',
    ],
    'verifications that no event explains': [
      'INSERT INTO api_key_verifications SELECT :unused, secret_id, ingest_group, count, last_at FROM api_key_verifications',
      'the verifications for which key_',
    ],
    'totals that no event explains': ['INSERT INTO api_key_usage (api_key_id) VALUES (:unused)', 'the totals of key_'],
    'endpoints that no event explains': [
      `INSERT INTO api_key_endpoint VALUES (:unused, false, '{}')`,
      'the endpoints of key_',
    ],
    'the last use of a secret that no event explains': [
      'INSERT INTO api_key_secret_usage SELECT id, now() FROM api_key_secret WHERE api_key_id = :unused',
      'the last use of secret_',
    ],
    'an hour of an organization without a log': [
      `INSERT INTO api_key_usage_hour SELECT api_key_id, hour, outcome, NOT management, gen_random_uuid(), project_id, counts, credits
       FROM api_key_usage_hour WHERE api_key_id = :key AND outcome = 'expired'`,
      'the hours of key_',
    ],
  };

  it.each(Object.entries(ofAll))(
    'finds what does not follow from all logs together: %s',
    async (_, [sql, difference]) => {
      expect(await differencesAfter(sql)).toEqual([{ of: null, difference: expect.stringContaining(difference) }]);
    },
  );

  it('finds differences in each log', async () => {
    const found = await differencesAfter('UPDATE api_key_usage SET uses = uses + 1');
    expect(found.map(({ difference }) => difference)).toEqual([
      expect.stringContaining('the totals of key_'),
      expect.stringContaining('the totals of key_'),
    ]);
  });

  it('finds no difference while the worker writes', async () => {
    const finished = new AbortController();
    const entries = await traffic(fromUuid('key', unusedKeyId));
    const write = async () => {
      for (let n = 0; !finished.signal.aborted; n = (n + 10) % entries.length) {
        await put(deployment, ada.organizationId, entries.slice(n, n + 10));
      }
    };
    const written = write();
    const found: Found[] = [];
    const sizes: number[] = [];
    const client = await deployment.sql.connect();
    try {
      // On a busy machine, whole checks pass before the worker writes again.
      for (let n = 0; n < 3 || sizes.at(-1) === sizes[0]; n++) {
        for await (const { organizationId: of, size, difference } of checkAuditLogs(
          client,
          undefined,
          new UsageCheck(1_000),
        )) {
          if (of === ada.organizationId) sizes.push(size);
          if (difference) found.push({ of, difference });
        }
      }
    } finally {
      client.release();
      finished.abort();
      await written;
    }
    expect(found).toEqual([]);
    expect(sizes.at(-1)).toBeGreaterThan(sizes[0]!);
  });
});
