import { createExample } from '../../apps/example/example.js';
import { startDeployment, type Account, type Deployment } from '../support/deployment.js';

/** Whoever runs a deployment, and their own API, which takes the keys of every customer. */
export interface Vendor {
  readonly deployment: Deployment;
  readonly operator: Account;
  /** With which that API asks about its callers. */
  readonly serviceKey: string;
  readonly url: string;
  /** Asks that API for the agents: the status, and the code of a refusal. */
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
