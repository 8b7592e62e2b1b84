import { createHash, randomBytes } from 'node:crypto';
import type { Account } from './deployment.js';
import type { World } from './history-world.js';

/** Chooses one of several, by the numbers of the step. */
export type Pick = <T>(from: readonly T[]) => T;

export const NAMES = ['Checkout', 'Émile', 'x'.repeat(100), '"quoted"\\', '🔑'];
const SCOPES = [
  ['triggers:read'],
  ['triggers:*'],
  ['triggers:read', 'api-keys:manage'],
  ['agents:read', 'triggers:read'],
];
const LIMITS = [
  [],
  [
    { name: 'b', limit: 100, window_seconds: 60 },
    { name: 'a', limit: 5, window_seconds: 1 },
  ],
];

export const team = (world: World) => world.organizations[0]!;

export async function fetchAs(world: World, account: Account | null, method: string, path: string, body?: object) {
  const response = await fetch(world.deployment.url + path, {
    method,
    headers: {
      ...(account && { authorization: `Bearer ${account.accessToken}` }),
      ...(body && { 'content-type': 'application/json' }),
    },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (response.status >= 500) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return { ok: response.ok, body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>) };
}

export async function expectDone(response: Promise<{ ok: boolean; body: Record<string, unknown> }>) {
  const { ok, body } = await response;
  if (!ok) throw new NotDone(JSON.stringify(body));
  return body;
}

/** A call of a dialect was rejected. */
export class NotDone extends Error {}

/** A new session of the account that does nothing else. */
export async function signIn({ accounts, deployment }: World) {
  const { email, password } = accounts[2]!;
  const tokens = await deployment.client().auth.login({ body: { email, password } });
  return { tokens, client: deployment.client({ accessToken: tokens.access_token }) };
}

export async function invite(world: World, pick: Pick) {
  const { id, owner } = team(world);
  const role = pick(['admin', 'developer', 'viewer', 'owner'] as const);
  const email = pick([undefined, 'somebody@example.com']);
  const made = await owner.client.invitations.create({ params: { id }, body: { role, ...(email && { email }) } });
  const invitation = { organizationId: id, id: made.id, token: made.token };
  world.invitations.push(invitation);
  return invitation;
}

export async function createKey({ keys, projects }: World, pick: Pick, organization: World['organizations'][number]) {
  const { owner, id: organizationId } = organization;
  const own = projects.filter((project) => project.organizationId === organizationId);
  const project = own.length > 0 && pick([true, false]) ? pick(own).id : undefined;
  const rateLimits = pick(LIMITS);
  const made = await owner.client.apiKeys.create({
    body: {
      name: pick(NAMES),
      organization_id: organizationId,
      scopes: pick(SCOPES),
      metadata: pick<Record<string, string>>([{}, { team: 'a', 'odd "name"': '' }]),
      description: pick([undefined, 'What it is for']),
      allowed_domains: pick([[], ['*.example.com']]),
      allowed_ips: pick([[], ['127.0.0.0/8', '::1']]),
      environment: pick(['test', 'live'] as const),
      rate_limits: [...rateLimits],
      ...(project && { project_id: project }),
      ...(pick([true, false]) && { expires_in_days: 30 }),
    },
  });
  keys.push({ id: made.id, organizationId, owner, secret: made.key });
}

export async function importKey(
  { keys }: World,
  pick: Pick,
  { owner, id: organizationId }: World['organizations'][number],
) {
  const secret = `acme_${randomBytes(16).toString('hex')}`;
  const hash = createHash('sha256').update(secret).digest('base64url');
  const { data } = await owner.client.apiKeys.import({
    body: {
      organization_id: organizationId,
      keys: [
        {
          hash,
          name: pick(NAMES),
          prefix: pick(['', 'acme_ab']),
          scopes: pick(SCOPES),
          rate_limits: [...pick(LIMITS)],
        },
      ],
    },
  });
  keys.push({ id: data[0]!.id!, organizationId, owner, secret });
}
