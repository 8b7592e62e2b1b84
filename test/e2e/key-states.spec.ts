import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { stateOf, statusOf } from '#libs/api-keys/key-lifecycle.js';
import type { ApiKeyStatus } from '#libs/contract/api-keys.js';
import { toUuid } from '#libs/contract/ids.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { codeOf } from '../support/rejection.js';

/** Tests every place that shows or uses the status of a key, with all combinations of the times that determine it. */

let deployment: Deployment;
let ada: Account;

beforeAll(async () => {
  deployment = await startDeployment({ worker: false });
  ada = await deployment.account();
});

afterAll(() => deployment.stop());

const statuses: readonly ApiKeyStatus[] = ['active', 'disabled', 'expired', 'revoked'];
const hour = 3_600_000;

interface Subject {
  readonly id: string;
  readonly secret: string;
  readonly publicKey: string;
  readonly domain: string;
  readonly life: Record<'expiresAt' | 'disabledAt' | 'revokedAt' | 'deletedAt', Date | null>;
}

async function subjects(): Promise<Subject[]> {
  const now = Date.now();
  const [past, before, future] = [new Date(now - hour), new Date(now - 2 * hour), new Date(now + hour)];
  const lives = [null, past, future].flatMap((expiresAt) =>
    [null, before, past].flatMap((disabledAt) =>
      [
        [null, null],
        [before, null],
        [past, null],
        [before, past],
      ].map(([revokedAt, deletedAt]) => ({ expiresAt, disabledAt, revokedAt: revokedAt!, deletedAt: deletedAt! })),
    ),
  );
  const made: Subject[] = [];
  for (const [index, life] of lives.entries()) {
    const domain = `page-${index}.example.com`;
    const key = await ada.client.apiKeys.create({
      body: { name: `Subject ${index}`, scopes: ['triggers:read'], allowed_domains: [domain] },
    });
    await deployment.sql.query(
      'UPDATE api_key SET expires_at = $2, disabled_at = $3, revoked_at = $4, deleted_at = $5 WHERE id = $1',
      [toUuid(key.id), life.expiresAt, life.disabledAt, life.revokedAt, life.deletedAt],
    );
    made.push({ id: key.id, secret: key.key, publicKey: key.public_key, domain, life });
  }
  return made;
}

it('the API, its lists, the verifier, the gateway and the preflight agree on the status of every key', async () => {
  const all = await subjects();
  const { key: service } = await ada.client.apiKeys.create({ body: { name: 'Service', scopes: ['api-keys:verify'] } });
  const listed = new Map<string, ApiKeyStatus[]>();
  for (const status of statuses) {
    const { data } = await ada.client.apiKeys.list({ query: { status, search: 'Subject', limit: 100 } });
    for (const key of data) {
      expect({ id: key.id, status: key.status }).toEqual({ id: key.id, status });
      listed.set(key.id, [...(listed.get(key.id) ?? []), status]);
    }
  }
  for (const { id, secret, publicKey, domain, life } of all) {
    const status = statusOf(life, new Date());
    const isDeleted = stateOf(life, new Date()) === 'deleted';
    const code = status === 'active' ? 'valid' : status;
    const { apiKeys } = ada.client;
    const shown = isDeleted ? codeOf(apiKeys.get({ params: { id } })) : apiKeys.get({ params: { id } });
    const verify = (key: string) =>
      deployment
        .client({ apiKey: service })
        .apiKeys.verify({ body: { key, request: { origin: `https://${domain}` } } });
    const ask = await fetch(`${deployment.url}/authz?scope=none`, { headers: { 'x-api-key': secret } });
    const preflight = await fetch(`${deployment.url}/api/v1/whoami`, {
      method: 'OPTIONS',
      headers: { origin: `https://${domain}`, 'access-control-request-method': 'GET' },
    });
    expect({
      life,
      shown: isDeleted ? await shown : ((await shown) as { status: string }).status,
      listed: listed.get(id) ?? [],
      bySecret: (await verify(secret)).code,
      byPublicKey: (await verify(publicKey)).code,
      toldOfIt: (await verify(secret)).api_key?.status,
      gateway: ask.status,
      letsAPageAsk: preflight.headers.get('access-control-allow-origin') !== null,
      revokedAt: isDeleted ? null : ((await shown) as { revoked_at: string | null }).revoked_at,
      secrets: isDeleted ? 0 : (await apiKeys.listSecrets({ params: { id } })).data.length,
    }).toEqual({
      life,
      shown: isDeleted ? 'not_found' : status,
      listed: isDeleted ? [] : [status],
      bySecret: code,
      byPublicKey: code,
      toldOfIt: status,
      gateway: status === 'active' ? 200 : 401,
      letsAPageAsk: status === 'active',
      revokedAt: isDeleted ? null : (life.revokedAt?.toISOString() ?? null),
      secrets: status === 'active' || status === 'disabled' ? 1 : 0,
    });
  }
});
