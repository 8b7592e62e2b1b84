import { randomBytes } from 'node:crypto';
import type { Client } from '#libs/client/client.js';
import type { Account, Deployment } from './deployment.js';

/** The objects that the samples name. */
export interface World {
  readonly ada: Account;
  readonly operator: Account;
  /** An organization of Ada, with a second member, a project and an open invitation. */
  readonly team: string;
  readonly member: { readonly userId: string };
  readonly project: string;
  readonly invitation: { readonly id: string; readonly token: string };
  /** A key, a project and a session of Ada's own. */
  readonly adasKey: { readonly id: string; readonly key: string };
  readonly adasProject: string;
  readonly adasSession: string;
}

/** Creates an organization with a second member, a project and an open invitation. */
export async function newTeam(deployment: Deployment, { client }: Account) {
  const { id } = await client.organizations.create({ body: { name: 'Team' } });
  const invite = () => client.invitations.create({ params: { id }, body: { role: 'viewer' } });
  return {
    team: id,
    project: (await client.projects.create({ body: { name: 'Shop', organization_id: id } })).id,
    member: await deployment.account((await invite()).token),
    invitation: await invite(),
  };
}

export async function newWorld(deployment: Deployment, ada: Account, operator: Account): Promise<World> {
  return {
    ...(await newTeam(deployment, ada)),
    ada,
    operator,
    adasKey: await ada.client.apiKeys.create({ body: { name: 'Narrow', scopes: ['triggers:read'] } }),
    adasProject: (await ada.client.projects.create({ body: { name: 'Mine' } })).id,
    adasSession: (await ada.client.auth.listSessions()).data[0]!.id,
  };
}

export interface Sample {
  readonly params?: Record<string, string>;
  readonly query?: Record<string, string>;
  readonly body?: Record<string, unknown>;
  readonly headers?: Record<string, string>;
}

type ChangeInBulk = Parameters<Client['apiKeys']['changeInBulk']>[0]['body'];

/** The sample of a bulk change with the confirmation of a preview by the same caller. */
export async function confirmedBy({ apiKeys }: Client, sample: Sample): Promise<Sample> {
  const { action, organization_id, ids, filter } = sample.body as ChangeInBulk;
  const selection = { action, organization_id, ids, filter };
  const { confirmation } = await apiKeys.previewBulkChange({ body: selection });
  return { ...sample, body: { ...selection, confirmation } };
}

/** A valid request for each route, for objects of Ada. A bulk change has to be {@link confirmedBy} its caller. */
export const samples: Record<string, (world: World) => Sample> = {
  'auth.register': () => ({ body: { email: 'new@example.com', password: 'quiet harbour nine lamps', name: 'New' } }),
  'auth.login': ({ ada }) => ({ body: { email: ada.email, password: ada.password, session: 'token' } }),
  'auth.refresh': ({ ada }) => ({ body: { refresh_token: ada.refreshToken } }),
  'auth.logout': () => ({}),
  'auth.updateAccount': () => ({ body: { name: 'Ada King' } }),
  'auth.changePassword': ({ ada }) => ({
    body: { current_password: ada.password, new_password: 'seven kites over the marsh' },
  }),
  'auth.listSessions': () => ({}),
  'auth.endSession': ({ adasSession }) => ({ params: { id: adasSession } }),
  'auth.whoami': () => ({}),
  'auth.resetPassword': () => ({ body: { token: 'reset_1', new_password: 'seven kites over the marsh' } }),
  'organizations.create': () => ({ body: { name: 'Another team' } }),
  'organizations.list': () => ({ query: { limit: '10' } }),
  'organizations.get': ({ team }) => ({ params: { id: team } }),
  'organizations.update': ({ team }) => ({ params: { id: team }, body: { name: 'Renamed', leak_policy: 'report' } }),
  'keyPolicy.get': ({ team }) => ({ params: { id: team } }),
  // A rule that every new key keeps to.
  'keyPolicy.update': ({ team }) => ({ params: { id: team }, body: { disable_unused_after_days: 90 } }),
  'keyPolicy.preview': ({ team }) => ({ params: { id: team }, body: { allowed_ips: ['192.0.2.0/24'] } }),
  'members.list': ({ team }) => ({ params: { id: team }, query: { limit: '10' } }),
  'members.update': ({ member, team }) => ({ params: { id: team, user_id: member.userId }, body: { role: 'auditor' } }),
  'members.remove': ({ member, team }) => ({
    params: { id: team, user_id: member.userId },
    query: { revoke_keys: 'true' },
  }),
  'invitations.create': ({ team }) => ({ params: { id: team }, body: { role: 'viewer', email: 'new@example.com' } }),
  'invitations.list': ({ team }) => ({ params: { id: team } }),
  'invitations.revoke': ({ team, invitation }) => ({ params: { id: team, invitation_id: invitation.id } }),
  'invitations.describe': ({ invitation }) => ({ body: { token: invitation.token } }),
  'invitations.accept': ({ invitation }) => ({ body: { token: invitation.token } }),
  'projects.create': ({ team }) => ({ body: { name: 'Shop', description: 'Sells', organization_id: team } }),
  'projects.list': ({ team }) => ({ query: { organization_id: team, search: 'shop' } }),
  'projects.get': ({ project }) => ({ params: { id: project } }),
  'projects.update': ({ project }) => ({ params: { id: project }, body: { name: 'Renamed', description: null } }),
  'projects.delete': ({ project }) => ({ params: { id: project }, query: { api_keys: 'revoke' } }),
  'find.find': ({ adasKey }) => ({ body: { text: adasKey.key } }),
  'credits.get': ({ team }) => ({ params: { id: team } }),
  'credits.listGrants': ({ team }) => ({ params: { id: team } }),
  'credits.grant': ({ team }) => ({ params: { id: team }, body: { amount: 100, reason: 'Trial', low_below: 5 } }),
  'credits.remove': ({ team }) => ({ params: { id: team } }),
  'deployment.listOrganizations': () => ({ query: { status: 'active', search: 'team' } }),
  'deployment.suspendOrganization': ({ team }) => ({ params: { id: team }, body: { reason: 'unpaid' } }),
  'deployment.resumeOrganization': ({ team }) => ({ params: { id: team } }),
  'deployment.setScopeCeiling': ({ team }) => ({ params: { id: team }, body: { scope_ceiling: ['triggers:read'] } }),
  'deployment.listOperators': () => ({}),
  'deployment.inviteOperator': () => ({ body: { email: 'new@example.com' } }),
  'deployment.removeOperator': ({ operator }) => ({ params: { id: operator.userId } }),
  'deployment.listServiceKeys': () => ({}),
  'deployment.revokeServiceKey': ({ adasKey }) => ({ params: { id: adasKey.id } }),
  'deployment.searchAuditLogs': () => ({ query: { ip: '192.0.2.0/24', limit: '10' } }),
  'deployment.setAuditRetention': ({ team }) => ({ params: { id: team }, body: { days: 90 } }),
  'deployment.placeLegalHold': ({ team }) => ({ params: { id: team }, body: { reason: 'Case 4711' } }),
  'deployment.liftLegalHold': ({ team }) => ({ params: { id: team } }),
  'deployment.createPasswordReset': ({ ada }) => ({ body: { email: ada.email } }),
  'apiKeys.create': ({ team, project }) => ({
    body: {
      name: 'Sample',
      organization_id: team,
      project_id: project,
      scopes: ['triggers:read'],
      expires_in_days: 30,
      allowed_domains: ['*.example.com'],
      allowed_ips: ['192.0.2.0/24'],
      rate_limits: [{ name: 'per-minute', limit: 100, window_seconds: 60 }],
    },
  }),
  'apiKeys.import': ({ team, project }) => ({
    body: {
      organization_id: team,
      keys: [{ hash: randomBytes(32).toString('hex'), name: 'Moved', project_id: project, scopes: ['triggers:read'] }],
    },
  }),
  'apiKeys.list': ({ ada }) => ({ query: { organization_id: ada.organizationId, unused_for_days: '90' } }),
  'apiKeys.get': ({ adasKey }) => ({ params: { id: adasKey.id } }),
  'apiKeys.update': ({ adasKey }) => ({ params: { id: adasKey.id }, body: { name: 'Renamed' } }),
  'apiKeys.listSecrets': ({ adasKey }) => ({ params: { id: adasKey.id } }),
  'apiKeys.rotate': ({ adasKey }) => ({ params: { id: adasKey.id }, body: { grace_period_seconds: 60 } }),
  'apiKeys.enable': ({ adasKey }) => ({ params: { id: adasKey.id } }),
  'apiKeys.disable': ({ adasKey }) => ({ params: { id: adasKey.id } }),
  'apiKeys.revoke': ({ adasKey }) => ({ params: { id: adasKey.id } }),
  'apiKeys.listScopes': () => ({}),
  'apiKeys.listEvents': ({ adasKey }) => ({ params: { id: adasKey.id }, query: { type: 'api_key.*', limit: '10' } }),
  'apiKeys.delete': ({ adasKey }) => ({ params: { id: adasKey.id } }),
  'apiKeys.previewBulkChange': ({ ada, adasKey }) => ({
    body: { organization_id: ada.organizationId, action: 'disable', ids: [adasKey.id] },
  }),
  'apiKeys.changeInBulk': ({ ada, adasKey }) => ({
    body: { organization_id: ada.organizationId, action: 'disable', ids: [adasKey.id], confirmation: 'of a preview' },
  }),
  'apiKeys.countToReview': ({ ada }) => ({ query: { organization_id: ada.organizationId } }),
  'apiKeys.verify': ({ adasKey }) => ({ body: { key: adasKey.key } }),
  'apiKeys.createToken': () => ({ body: { audience: 'orders', scopes: ['triggers:read'], expires_in_seconds: 60 } }),
  'keyTokens.jwks': () => ({}),
  'leakedKeys.report': ({ adasKey }) => ({
    body: { tokens: [adasKey.key], source: 'gitleaks', url: 'https://example.com/config.env' },
  }),
  'leakedKeys.reportFromGitHub': () => ({
    headers: { 'github-public-key-identifier': 'unknown', 'github-public-key-signature': 'AAAA' },
  }),
  'usage.ofApiKey': ({ adasKey }) => ({
    params: { id: adasKey.id },
    query: { from: '2026-11-01T00:00:00Z', to: '2026-11-02T00:00:00Z', interval: 'hour', group_by: 'endpoint' },
  }),
  'usage.ofOrganization': ({ team, project, adasKey }) => ({
    params: { id: team },
    query: { group_by: 'api_key', project_id: project, api_key_id: adasKey.id },
  }),
  'audit.listEvents': ({ ada, adasKey }) => ({ query: { organization_id: ada.organizationId, key_id: adasKey.id } }),
  'audit.summarizeEvents': ({ ada, adasKey }) => ({
    query: { organization_id: ada.organizationId, key_id: adasKey.id, search: 'narrow', user_agent: 'node' },
  }),
  'audit.listNames': ({ ada, adasKey }) => ({
    query: { organization_id: ada.organizationId, ids: `${adasKey.id},${ada.userId}` },
  }),
  'audit.exportEvents': ({ ada }) => ({
    query: { organization_id: ada.organizationId, type: 'api_key.*', format: 'csv' },
  }),
  'audit.tail': ({ ada }) => ({ query: { organization_id: ada.organizationId, outcome: 'expired,revoked' } }),
  'audit.proveEvent': ({ ada }) => ({ params: { leaf_index: '0' }, query: { organization_id: ada.organizationId } }),
  'audit.proveConsistency': ({ ada }) => ({ query: { organization_id: ada.organizationId, from: '0', to: '0' } }),
  'audit.receipt': ({ ada }) => ({ params: { leaf_index: '0' }, query: { organization_id: ada.organizationId } }),
  'audit.integrity': ({ ada }) => ({ query: { organization_id: ada.organizationId } }),
  'audit.checkpoint': ({ team }) => ({ params: { id: team } }),
  'audit.vkeys': ({ team }) => ({ params: { id: team } }),
  'audit.getRetention': ({ team }) => ({ params: { id: team } }),
  'audit.tile': ({ team }) => ({ params: { id: team, tile: 'entries/000.p/1' } }),
  'commandagi.createKey': ({ adasProject }) => ({
    body: { name: 'Sample', projectId: adasProject, expiresInDays: 90 },
  }),
  'commandagi.listKeys': ({ adasProject }) => ({ query: { projectId: adasProject } }),
  'commandagi.revokeKey': ({ adasKey }) => ({ query: { id: adasKey.id } }),
  'agentity.signIn': ({ ada }) => ({ body: { email: ada.email, password: ada.password } }),
  'agentity.createKey': () => ({ body: { nickname: 'production-agent' } }),
  'agentity.listKeys': () => ({}),
  'agentity.deleteKey': () => ({ params: { id: '1' } }),
  'system.live': () => ({}),
  'system.ready': () => ({}),
  'system.describeProblem': () => ({ params: { code: 'not_found' } }),
};
