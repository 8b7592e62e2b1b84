import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createClient } from '#libs/client/client.js';
import { HTTP_LIMITS } from '#libs/platform/http/http-limits.js';
import { createDatabase, type TestDatabase } from '../support/deployment.js';
import { eventually } from '../support/eventually.js';
import { rawRequest } from '../support/raw-http.js';
import { codeOf } from '../support/rejection.js';
import { Witness } from '../support/witness.js';
import { startWatched, type WatchedProcess } from '../support/watched-processes.js';

let database: TestDatabase;
let api: WatchedProcess;
let worker: WatchedProcess;
let key: string;
/** It does not respond. */
const witness = new Witness('away.example/w');

beforeAll(async () => {
  database = await createDatabase();
  [api, worker] = await Promise.all([
    startWatched('api', {
      DATABASE_URL: database.apiUrl,
      ANCHOR_FILE: database.anchorFile,
      WITNESSES: `${witness.vkey} http://127.0.0.1:9`,
      WITNESS_SECONDS: '1',
    }),
    startWatched('worker', { DATABASE_URL: database.workerUrl }),
  ]);
  const account = { email: 'ada@example.com', password: 'nine lamps above the quay' };
  const anonymous = createClient({ baseUrl: api.url });
  await anonymous.auth.register({ body: { ...account, name: 'Ada' } });
  const { access_token: accessToken } = await anonymous.auth.login({ body: account });
  const ada = createClient({ baseUrl: api.url, accessToken });
  ({ key } = await ada.apiKeys.create({ body: { name: 'Used', scopes: ['triggers:read'] } }));
});

afterAll(async () => {
  await Promise.all([api.stop(), worker.stop()]);
  await database.drop();
});

/** The value of a sample, by its name and labels as written in the output. */
async function value(of: WatchedProcess, sample: string): Promise<number> {
  const line = (await of.metrics()).split('\n').find((text) => text.startsWith(`${sample} `));
  return Number(line?.slice(sample.length + 1));
}

describe('the metrics', () => {
  it('count verifications by outcome and entry point', async () => {
    const count = (code: string, via: string) =>
      value(api, `keyledger_verifications_total{code="${code}",via="${via}"}`);
    expect(await count('revoked', 'gateway')).toBe(0);

    const caller = createClient({ baseUrl: api.url, apiKey: key });
    const authz = (query = '') => fetch(`${api.url}/authz${query}`, { headers: { 'x-api-key': key } });
    await caller.auth.whoami();
    await authz();
    await authz();
    await authz('?scope=events:read');
    await fetch(`${api.url}/authz`);
    expect(await codeOf(caller.apiKeys.verify({ body: { key } }))).toBe('insufficient_scope');

    expect(await count('valid', 'api')).toBe(1);
    expect(await count('insufficient_scope', 'api')).toBe(1);
    expect(await count('valid', 'gateway')).toBe(2);
    expect(await count('insufficient_scope', 'gateway')).toBe(1);
    expect(await count('unauthenticated', 'gateway')).toBe(1);
    expect(await count('valid', 'verify')).toBe(0);
    expect(await value(api, 'keyledger_cache_misses_total{cache="secrets"}')).toBe(1);
    expect(await value(api, 'keyledger_cache_hits_total{cache="secrets"}')).toBeGreaterThanOrEqual(4);
    expect(await value(api, 'keyledger_cache_entries{cache="secrets"}')).toBe(1);
    expect(await value(api, 'keyledger_admission_batch_events_count')).toBeGreaterThanOrEqual(3);
    expect(await value(api, 'keyledger_admission_statement_seconds_count{statement="admit"}')).toBeGreaterThanOrEqual(
      3,
    );
  });

  it('show a witness that does not cosign', async () => {
    const isFailing = () => value(api, 'keyledger_witness_failing{witness="away.example/w"}');
    expect(await eventually(isFailing, (failing) => failing === 1, 15_000)).toBe(1);
    expect(await value(api, 'keyledger_witness_cosigned_timestamp_seconds{witness="away.example/w"}')).toBe(0);
  });

  it('count the events on their way into the audit log', async () => {
    const ingested = () => value(worker, 'keyledger_events_ingested_total');
    expect(await eventually(ingested, (events) => events >= 3)).toBeGreaterThanOrEqual(3);
    const lastEvent = await value(worker, 'keyledger_audit_last_event_timestamp_seconds');
    expect(Math.abs(lastEvent - Date.now() / 1000)).toBeLessThan(60);
    expect(
      await eventually(
        () => value(worker, 'keyledger_outbox_rows'),
        (batches) => batches === 0,
      ),
    ).toBe(0);
    expect(await value(worker, 'keyledger_quarantined_entries')).toBe(0);
    expect(await value(worker, 'keyledger_mass_revocation_oldest_age_seconds')).toBe(0);
    expect(await value(worker, 'keyledger_audit_lag_seconds_bucket{le="2"}')).toBeGreaterThanOrEqual(1);
  });

  it('are served with the connection limits of the API', async () => {
    const { headers } = await fetch(worker.metricsUrl);
    expect(headers.get('keep-alive')).toBe(`timeout=${HTTP_LIMITS.keepAliveTimeout / 1_000}`);
    const tooLarge = `GET /metrics HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(HTTP_LIMITS.maxHeaderSize)}\r\n\r\n`;
    expect((await rawRequest(worker.metricsUrl, tooLarge)).status).toBe(431);
    expect((await rawRequest(worker.metricsUrl, 'GET http://other/metrics HTTP/1.1\r\nHost: x\r\n\r\n')).status).toBe(
      400,
    );
  });

  it('have no parameters: a query that asks for some of them gets a problem, not all of them', async () => {
    for (const query of ['name[]=keyledger_outbox_rows', 'unknown=1', 'unknown=', 'unknown', '__proto__=1']) {
      const response = await fetch(`${worker.metricsUrl}?${query}`);
      expect([response.status, response.headers.get('content-type')]).toEqual([400, 'application/problem+json']);
      const [name] = query.split('=');
      expect(await response.json()).toMatchObject({ code: 'invalid_request', errors: [{ location: `query.${name}` }] });
    }
  });

  it('are served on their own port, not by the API', async () => {
    expect((await fetch(`${api.url}/metrics`)).status).toBe(404);
  });

  it('report that their port is taken', async () => {
    const port = new URL(api.url).port;
    const env = { DATABASE_URL: database.workerUrl, METRICS_PORT: port, LOG_LEVEL: 'fatal' };
    const refused = await startWatched('worker', env);
    expect(await refused.stop()).toBe(78);
    expect(refused.output).toBe(
      `METRICS_PORT ${port} is taken by another process; stop it or set METRICS_PORT to a free one.\n`,
    );
  });

  it('are not served without a port', async () => {
    const silent = await startWatched('worker', { DATABASE_URL: database.workerUrl, METRICS_PORT: '' });
    await expect(silent.metrics()).rejects.toThrow('fetch failed');
    expect(await silent.stop()).toBe(0);
  });
});

describe('docs/operations.md', () => {
  const docs = readFileSync(join(import.meta.dirname, '../../docs/operations.md'), 'utf8');
  const rows = Array.from(
    docs.matchAll(/^\| `(keyledger_\w+)` +\| (\w+) +\| (.*?) +\| (api|worker|both) +\|/gm),
    ([, name, type, labels, where]) => ({ name, type, labels: labels!.replaceAll('`', ''), where }),
  );

  it('lists every metric correctly', async () => {
    const told = rows
      .flatMap(({ where, ...row }) =>
        (where === 'both' ? ['api', 'worker'] : [where!]).map((process) => ({ ...row, process })),
      )
      .map(({ process, name, type, labels }) => `${process} ${type} ${name} ${labels}`.trim());
    const found = (await Promise.all([exposed('api', api), exposed('worker', worker)])).flat();
    expect(told.toSorted()).toEqual(found.toSorted());
  });

  it('has alerts on existing metrics only', () => {
    const alerts = docs.slice(docs.indexOf('```yaml'), docs.lastIndexOf('```'));
    const used = Array.from(alerts.matchAll(/keyledger_\w+/g), ([name]) => name.replace(/_(bucket|count|sum)$/, ''));
    expect(used.length).toBeGreaterThan(5);
    expect(used.filter((name) => !rows.some((row) => row.name === name))).toEqual([]);
  });
});

/** The product's own metrics of a process, with their labels. */
async function exposed(process: string, of: WatchedProcess): Promise<string[]> {
  const text = await of.metrics();
  return Array.from(text.matchAll(/^# TYPE (keyledger_\w+) (\w+)$/gm), ([, name, type]) => {
    const sample = new RegExp(`^${name}(?:_bucket)?\\{(.*)\\} `, 'm').exec(text)?.[1] ?? '';
    const labels = Array.from(sample.matchAll(/(\w+)="/g), ([, label]) => label!).filter((label) => label !== 'le');
    return `${process} ${type} ${name} ${labels.join(', ')}`.trim();
  });
}
