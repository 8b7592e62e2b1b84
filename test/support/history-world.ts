import type { Account, Deployment } from './deployment.js';

/** What a random history has made so far, and what its next steps may use. */
export interface World {
  readonly deployment: Deployment;
  readonly operator: Account;
  /** The last one changes passwords and sessions, and does nothing else. */
  readonly accounts: Account[];
  readonly organizations: { readonly id: string; readonly owner: Account; readonly members: string[] }[];
  readonly invitations: { readonly organizationId: string; readonly id: string; readonly token: string }[];
  readonly operatorTokens: string[];
  readonly otherOperators: Account[];
  readonly projects: { readonly id: string; readonly organizationId: string; readonly owner: Account }[];
  readonly keys: { readonly id: string; readonly organizationId: string; readonly owner: Account; secret: string }[];
  readonly serviceKeys: { readonly id: string; readonly secret: string }[];
}

export async function newWorld(deployment: Deployment): Promise<World> {
  const operator = await deployment.operator();
  const [ada, bob, resets] = await Promise.all([deployment.account(), deployment.account(), deployment.account()]);
  const { id } = await ada.client.organizations.create({ body: { name: 'Team' } });
  const service = await operator.client.apiKeys.create({ body: { name: 'Gateway', scopes: ['deployment:verify'] } });
  return {
    deployment,
    operator,
    accounts: [ada, bob, resets],
    organizations: [
      { id, owner: ada, members: [ada.userId] },
      { id: bob.organizationId, owner: bob, members: [bob.userId] },
    ],
    invitations: [],
    operatorTokens: [],
    otherOperators: [],
    projects: [],
    keys: [],
    serviceKeys: [{ id: service.id, secret: service.key }],
  };
}
