import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import type { Deployment } from './deployment.js';
import {
  createKey,
  expectDone,
  fetchAs,
  importKey,
  invite,
  NAMES,
  NotDone,
  signIn,
  team,
  type Pick,
} from './history-calls.js';
import type { World } from './history-world.js';
import { outcomeOf } from './rejection.js';

type Operation = (world: World, pick: Pick) => Promise<unknown>;

const ofAccounts: Record<string, Operation> = {
  'auth.register': async (world, pick) => {
    const invitation = pick([...world.invitations, undefined]);
    const account = await world.deployment.account(invitation?.token);
    // Before the account that changes passwords.
    world.accounts.push(account);
  },
  'auth.login': (world) => signIn(world),
  'agentity.signIn': ({ deployment, ...world }) => {
    const { email, password } = world.accounts[2]!;
    return expectDone(fetchAs({ deployment, ...world }, null, 'POST', '/auth/login', { email, password }));
  },
  'auth.refresh': async (world) => {
    const { tokens } = await signIn(world);
    await world.deployment.client().auth.refresh({ body: { refresh_token: tokens.refresh_token! } });
  },
  'auth.logout': async (world) => (await signIn(world)).client.auth.logout(),
  'auth.endSession': async (world) => {
    const { client } = await signIn(world);
    const { data } = await client.auth.listSessions();
    await client.auth.endSession({ params: { id: data.at(-1)!.id } });
  },
  'auth.updateAccount': ({ accounts }, pick) =>
    pick(accounts).client.auth.updateAccount({ body: { name: pick(NAMES) } }),
  'auth.changePassword': async (world) => {
    const { client } = await signIn(world);
    const { password } = world.accounts[2]!;
    const next = `seven kites ${randomUUID()}`;
    await client.auth.changePassword({ body: { current_password: password, new_password: next } });
    world.accounts[2] = { ...world.accounts[2]!, password: next };
  },
  'deployment.createPasswordReset': ({ operator, accounts }) =>
    operator.client.deployment.createPasswordReset({ body: { email: accounts[2]!.email } }),
  'auth.resetPassword': async (world) => {
    const { email } = world.accounts[2]!;
    const { token } = await world.operator.client.deployment.createPasswordReset({ body: { email } });
    const next = `nine lamps ${randomUUID()}`;
    await world.deployment.client().auth.resetPassword({ body: { token, new_password: next } });
    world.accounts[2] = { ...world.accounts[2]!, password: next };
  },
};

const ofOrganizations: Record<string, Operation> = {
  'organizations.create': async (world, pick) => {
    const owner = pick(world.accounts.slice(0, 2));
    const { id } = await owner.client.organizations.create({ body: { name: pick(NAMES) } });
    world.organizations.push({ id, owner, members: [owner.userId] });
  },
  'organizations.update': (world, pick) => {
    const { id, owner } = pick(world.organizations);
    const body = { name: pick(NAMES), leak_policy: pick(['revoke', 'revoke_live', 'report'] as const) };
    return owner.client.organizations.update({ params: { id }, body });
  },
  // Rules that the keys of a history keep to, so that its other steps can be done.
  'keyPolicy.update': (world, pick) => {
    const { id, owner } = pick(world.organizations);
    const body = pick([
      { disable_unused_after_days: 30 },
      { max_lifetime_days: 3650, environments: ['test', 'live'] as ('test' | 'live')[] },
      { allowed_ips: ['0.0.0.0/0', '::/0'] },
      { max_lifetime_days: null, environments: null, allowed_ips: null, disable_unused_after_days: null },
    ]);
    return owner.client.keyPolicy.update({ params: { id }, body });
  },
  'invitations.create': (world, pick) => invite(world, pick),
  'invitations.revoke': async (world, pick) => {
    const { id: invitation, organizationId: id } = pick([await invite(world, pick), ...world.invitations]);
    await team(world).owner.client.invitations.revoke({ params: { id, invitation_id: invitation } });
  },
  'invitations.accept': async (world, pick) => {
    const { token } = pick([await invite(world, pick), ...world.invitations]);
    const account = pick(world.accounts.toSpliced(2, 1).slice(1));
    await account.client.invitations.accept({ body: { token } });
    team(world).members.push(account.userId);
  },
  'members.update': (world, pick) => {
    const { id, owner, members } = team(world);
    const user = pick(members.toReversed());
    const role = pick(['admin', 'developer', 'viewer', 'owner'] as const);
    return owner.client.members.update({ params: { id, user_id: user }, body: { role } });
  },
  'members.remove': (world, pick) => {
    const { id, owner, members } = team(world);
    const user = pick(members.slice(1).toReversed());
    const query = { revoke_keys: pick(['true', 'false'] as const) };
    return owner.client.members.remove({ params: { id, user_id: user }, query });
  },
  'projects.create': async (world, pick) => {
    const { id, owner } = pick(world.organizations);
    const description = pick([undefined, 'Sells']);
    const body = { name: pick(NAMES), organization_id: id, ...(description && { description }) };
    const made = await owner.client.projects.create({ body });
    world.projects.push({ id: made.id, organizationId: id, owner });
  },
  'projects.update': (world, pick) => {
    const { id, owner } = pick(world.projects.toReversed());
    return owner.client.projects.update({ params: { id }, body: pick([{ name: 'Renamed' }, { description: null }]) });
  },
  'projects.delete': (world, pick) => {
    const { id, owner } = pick(world.projects.toReversed());
    return owner.client.projects.delete({ params: { id }, query: { api_keys: pick(['revoke', 'refuse'] as const) } });
  },
};

const ofKeys: Record<string, Operation> = {
  'apiKeys.create': (world, pick) => createKey(world, pick, pick(world.organizations)),
  'apiKeys.import': (world, pick) => importKey(world, pick, pick(world.organizations)),
  'apiKeys.update': ({ keys, deployment }, pick) => {
    const { id, owner } = pick(keys.toReversed());
    const soon = new Date(deploymentTime(deployment) + 5 * 86_400_000).toISOString();
    const body = pick([
      { name: 'Renamed' },
      { scopes: ['triggers:read'], description: '' },
      { external_id: 'cus_1', owner_note: 'of Ada' },
      { metadata: { changed: 'yes' } },
      { expires_at: soon },
      { expires_at: null },
      { allowed_domains: ['shop.example'], public_scopes: ['triggers:read'] },
      { allowed_ips: ['127.0.0.1', '::1'] },
      { rate_limits: [{ name: 'a', limit: 7, window_seconds: 1 }] },
      { rate_limits: [] },
    ]);
    return owner.client.apiKeys.update({ params: { id }, body });
  },
  'apiKeys.changeInBulk': async ({ keys }, pick) => {
    const { id, organizationId, owner } = pick(keys.toReversed());
    const action = pick(['disable', 'disable', 'enable', 'revoke'] as const);
    const body = { organization_id: organizationId, action, ids: [id] };
    const { confirmation } = await owner.client.apiKeys.previewBulkChange({ body });
    if (confirmation) await owner.client.apiKeys.changeInBulk({ body: { ...body, confirmation } });
  },
  'apiKeys.rotate': async ({ keys }, pick) => {
    const key = pick(keys.toReversed());
    const grace = pick([0, 3_600]);
    const { key: secret } = await key.owner.client.apiKeys.rotate({
      params: { id: key.id },
      body: { grace_period_seconds: grace },
    });
    key.secret = secret;
  },
  'apiKeys.enable': ({ keys }, pick) => {
    const { id, owner } = pick(keys.toReversed());
    return owner.client.apiKeys.enable({ params: { id } });
  },
  'apiKeys.disable': ({ keys }, pick) => {
    const { id, owner } = pick(keys.toReversed());
    return owner.client.apiKeys.disable({ params: { id } });
  },
  'apiKeys.revoke': ({ keys }, pick) => {
    const { id, owner } = pick(keys.toReversed());
    return owner.client.apiKeys.revoke({ params: { id } });
  },
  'apiKeys.delete': ({ keys }, pick) => {
    const { id, owner } = pick(keys.toReversed());
    return owner.client.apiKeys.delete({ params: { id } });
  },
  'apiKeys.verify': ({ keys, serviceKeys, deployment }, pick) => {
    const { secret } = pick(serviceKeys);
    const scopes = pick([[], ['triggers:read'], ['events:read']]);
    const body = {
      key: pick(keys.toReversed()).secret,
      cost: pick([1, 0, 3]),
      scopes,
      request: { method: 'GET', path: pick(['/a', '/b/7']) },
    };
    return deployment.client({ apiKey: secret }).apiKeys.verify({ body });
  },
  'leakedKeys.report': ({ keys, deployment }, pick) => {
    const tokens = [pick(keys.toReversed()).secret, pick(keys.toReversed()).secret];
    return deployment.client().leakedKeys.report({ body: { tokens, ...pick([{}, { source: 'gitleaks' }]) } });
  },
  'commandagi.createKey': async (world, pick) => {
    const owner = pick(world.accounts.slice(0, 2));
    const body = await expectDone(fetchAs(world, owner, 'POST', '/api/api-keys', { name: pick(NAMES) }));
    const [id, secret] = [body['id'] as string, body['key'] as string];
    world.keys.push({ id, organizationId: owner.organizationId, owner, secret });
  },
  'commandagi.revokeKey': (world, pick) => {
    const { id, owner } = pick(world.keys.toReversed());
    return expectDone(fetchAs(world, owner, 'DELETE', `/api/api-keys?id=${id}`));
  },
  'agentity.createKey': async (world, pick) => {
    const owner = pick(world.accounts.slice(0, 2));
    await expectDone(fetchAs(world, owner, 'POST', '/auth/api-keys', { nickname: randomUUID() }));
  },
  'agentity.deleteKey': async (world) => {
    const owner = world.accounts[0]!;
    const { id } = await expectDone(fetchAs(world, owner, 'POST', '/auth/api-keys', { nickname: randomUUID() }));
    await expectDone(fetchAs(world, owner, 'DELETE', `/auth/api-keys/${String(id)}`));
  },
};

const ofOperators: Record<string, Operation> = {
  'credits.grant': ({ organizations, operator }, pick) => {
    const body = { amount: pick([5, 1_000]), reason: 'Trial', ...pick([{}, { low_below: 3 }]) };
    return operator.client.credits.grant({ params: { id: pick(organizations).id }, body });
  },
  'credits.remove': ({ organizations, operator }, pick) =>
    operator.client.credits.remove({ params: { id: pick(organizations).id } }),
  'deployment.suspendOrganization': ({ organizations, operator }, pick) =>
    operator.client.deployment.suspendOrganization({
      params: { id: pick(organizations).id },
      body: { reason: 'unpaid' },
    }),
  'deployment.resumeOrganization': ({ organizations, operator }, pick) =>
    operator.client.deployment.resumeOrganization({ params: { id: pick(organizations).id } }),
  'deployment.setScopeCeiling': ({ organizations, operator }, pick) => {
    const ceiling = pick([null, ['triggers:*', 'agents:*', 'api-keys:*']]);
    return operator.client.deployment.setScopeCeiling({
      params: { id: pick(organizations).id },
      body: { scope_ceiling: ceiling },
    });
  },
  'deployment.inviteOperator': async ({ operator, operatorTokens }, pick) => {
    const email = pick([undefined, 'somebody@example.com']);
    const made = await operator.client.deployment.inviteOperator({ body: email ? { email } : {} });
    if (!email) operatorTokens.push(made.token);
  },
  'deployment.removeOperator': async ({ operator, operatorTokens, otherOperators, deployment }) => {
    if (operatorTokens.length === 0) {
      operatorTokens.push((await operator.client.deployment.inviteOperator({ body: {} })).token);
    }
    const other = await deployment.account(operatorTokens.pop());
    await other.client.deployment.inviteOperator({ body: {} });
    otherOperators.push(other);
    await operator.client.deployment.removeOperator({ params: { id: other.userId } });
  },
  'deployment.revokeServiceKey': async ({ operator }) => {
    const { id } = await operator.client.apiKeys.create({ body: { name: 'Old', scopes: ['deployment:verify'] } });
    await operator.client.deployment.revokeServiceKey({ params: { id } });
  },
};

/** Steps that are no call of a changing route. */
const others: Record<string, Operation> = {
  'a use at a gateway': ({ deployment, keys }, pick) =>
    fetch(`${deployment.url}/authz`, { headers: { 'x-api-key': pick(keys.toReversed()).secret } }),
  'a call of our own API': ({ deployment, keys }, pick) =>
    outcomeOf(deployment.client({ apiKey: pick(keys.toReversed()).secret }).auth.whoami()),
  'a wrong secret': ({ deployment, keys }, pick) =>
    fetch(`${deployment.url}/authz`, { headers: { 'x-api-key': `${pick(keys.toReversed()).secret.slice(0, -2)}00` } }),
  'the time passes': async (world, pick) => {
    const milliseconds = pick([1_000, 61_000, 240_000]);
    elapsed.set(world.deployment, (elapsed.get(world.deployment) ?? 0) + milliseconds);
    world.deployment.advance(milliseconds);
  },
};

const elapsed = new WeakMap<Deployment, number>();

function deploymentTime(deployment: Deployment): number {
  return Date.now() + (elapsed.get(deployment) ?? 0);
}

/** One operation for each route that changes something, by its name, and more. */
export const operations: Readonly<Record<string, Operation>> = {
  ...ofAccounts,
  ...ofOrganizations,
  ...ofKeys,
  ...ofOperators,
  ...others,
};

export interface Step {
  readonly do: string;
  readonly numbers: readonly number[];
}

export const step: fc.Arbitrary<Step> = fc.record({
  do: fc.constantFrom(...Object.keys(operations)),
  numbers: fc.array(fc.nat(), { minLength: 10, maxLength: 10 }),
});

const LAST = new Set([
  'invitations.revoke',
  'members.remove',
  'projects.delete',
  'apiKeys.delete',
  'credits.remove',
  'keyPolicy.update',
]);

/** Every operation in an order in which each can be done. It chooses by its name: a new one changes no other. */
export const everyOperation: readonly Step[] = [
  'projects.create',
  'apiKeys.create',
  'invitations.create',
  'credits.grant',
  ...Object.keys(operations).filter((name) => !LAST.has(name)),
  ...[...LAST].flatMap((name) => ['apiKeys.create', 'projects.create', name]),
].map((name) => ({ do: name, numbers: [0, name.length % 2, 0, name.length % 3, 0, name.length % 5, 0, 1, 0, 1] }));

/** @returns `done`, or the code with which the API rejected the operation, because it does not apply */
export async function perform(world: World, { do: name, numbers }: Step): Promise<string> {
  let next = 0;
  const pick: Pick = (from) => {
    if (from.length === 0) throw new NotDone('there is nothing to choose from');
    const number = numbers[next % numbers.length]!;
    next += 1;
    return from[number % from.length]!;
  };
  try {
    return await outcomeOf(Promise.resolve().then(() => operations[name]!(world, pick)));
  } catch (error) {
    if (error instanceof NotDone) return error.message;
    throw error;
  }
}
