import { expect, it } from '@jest/globals';
import { readConfig } from '#libs/platform/config.js';
import { createClient } from '#libs/client/client.js';
import { createApi } from '../../apps/api/api.js';
import { createCable } from '../support/cable.js';
import { createDatabase, TEST_SECRET } from '../support/deployment.js';
import { rejection } from '../support/rejection.js';

it('while the database is unavailable every response is 503 with Retry-After, and the API recovers afterwards', async () => {
  const database = await createDatabase();
  const cable = await createCable(new URL(database.apiUrl));
  const url = new URL(database.apiUrl);
  url.port = String(cable.port);
  const api = await createApi(
    readConfig({ DATABASE_URL: url.href, KEYLEDGER_SECRET: TEST_SECRET, PORT: '0', LOG_LEVEL: 'fatal' }),
  );
  await api.listen(0, '127.0.0.1');
  const baseUrl = await api.getUrl();
  try {
    const account = { email: 'ada@example.com', password: 'nine lamps above the quay', name: 'Ada' };
    const anonymous = createClient({ baseUrl });
    await anonymous.auth.register({ body: account });
    const { access_token: accessToken } = await anonymous.auth.login({
      body: { email: account.email, password: account.password },
    });
    const ada = createClient({ baseUrl, accessToken });
    const { key } = await ada.apiKeys.create({ body: { name: 'Used', scopes: ['triggers:read'] } });
    const caller = createClient({ baseUrl, apiKey: key });
    await caller.auth.whoami();

    cable.cut();
    for (const call of [
      () => caller.auth.whoami(),
      () => ada.apiKeys.list(),
      () => anonymous.auth.register({ body: { ...account, email: 'b@example.com' } }),
    ]) {
      const refused = await rejection(call());
      expect(refused.problem.status).toBe(503);
      expect(refused.headers.get('retry-after')).toBe('1');
    }
    expect((await fetch(`${baseUrl}/health/ready`)).status).toBe(503);
    expect((await fetch(`${baseUrl}/health/live`)).status).toBe(200);

    cable.mend();
    await caller.auth.whoami();
    expect((await ada.apiKeys.list()).total).toBe(1);
    expect((await fetch(`${baseUrl}/health/ready`)).status).toBe(200);
  } finally {
    await api.close();
    await cable.close();
    await database.drop();
  }
});
