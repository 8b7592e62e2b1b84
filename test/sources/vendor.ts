import { startDeployment, type Account, type Deployment } from '../support/deployment.js';
import { builtModule } from '../support/built-module.js';

const { createExample } = await builtModule<typeof import('../../apps/example/example.js')>(
  '../../apps/example/example.js',
);

/** The company that runs a deployment, and its own API, which accepts the keys of every customer. */
export interface Vendor {
  readonly deployment: Deployment;
  readonly operator: Account;
  /** The key with which that API verifies its callers. */
  readonly serviceKey: string;
  readonly url: string;
  /**
   * Asks that API for its agents.
   * @returns the status, and the code of a rejection
   */
  ask(headers: Record<string, string>): Promise<string>;
  stop(): Promise<void>;
}

export async function startVendor(): Promise<Vendor> {
  const deployment = await startDeployment();
  const operator = await deployment.operator();
  const { key: serviceKey } = await operator.client.apiKeys.create({
    body: { name: 'Example API', scopes: ['deployment:verify'] },
  });
  const example = await createExample({ keyledgerUrl: deployment.url, serviceKey });
  await example.listen(0, '127.0.0.1');
  const url = await example.getUrl();
  return {
    deployment,
    operator,
    serviceKey,
    url,
    async ask(headers) {
      const response = await fetch(`${url}/api/v1/agents`, { headers });
      const { code } = (await response.json()) as { code?: string };
      return [response.status, code].filter(Boolean).join(' ');
    },
    async stop() {
      await example.close();
      await deployment.stop();
    },
  };
}
