import { expect, it } from '@jest/globals';
import { startDeployment } from '../support/deployment.js';

it('a new organization starts with DEFAULT_CREDITS, personal or not', async () => {
  const deployment = await startDeployment({ worker: false, env: { DEFAULT_CREDITS: '500' } });
  try {
    const { client, organizationId } = await deployment.account();
    const other = await client.organizations.create({ body: { name: 'Other' } });
    for (const id of [organizationId, other.id]) {
      expect(await client.credits.get({ params: { id } })).toEqual({ metered: true, balance: 500, low_below: 50 });
      expect((await client.credits.listGrants({ params: { id } })).data).toMatchObject([
        { amount: 500, granted_by: null },
      ]);
    }
  } finally {
    await deployment.stop();
  }
});
