import type { Client } from '#libs/client/client.js';
import { EXIT_USAGE } from '../exit-codes.js';
import { signIn } from './connection.js';
import { Failure } from './failure.js';
import { findId } from './find-id.js';
import { readPages } from './lists.js';

/**
 * The organization that a command is about, if it was chosen: by --organization, by its name or id, or by `keyledger
 * use`. Undefined: the own one of the caller.
 */
export async function chosenOrganization(
  api: Client,
  env: NodeJS.ProcessEnv,
  given: string | undefined,
): Promise<string | undefined> {
  if (given !== undefined) return findId(api, ['organization'], given);
  const { credentials } = signIn(env);
  return 'api_key' in credentials ? undefined : credentials.organization;
}

/** The organization that a command is about: the chosen one, or the own one of the caller. */
export async function organizationOf(api: Client, env: NodeJS.ProcessEnv, given: string | undefined): Promise<string> {
  return (await chosenOrganization(api, env, given)) ?? (await ownOrganization(api));
}

export interface WhichOrganizations {
  readonly organization?: string;
  readonly allOrganizations?: boolean;
}

/** The organization of a list. Undefined: all that the caller may read, which for a key is its own. */
export async function listedOrganization(
  api: Client,
  env: NodeJS.ProcessEnv,
  { organization, allOrganizations }: WhichOrganizations,
): Promise<string | undefined> {
  if (allOrganizations) return undefined;
  const isKey = 'api_key' in signIn(env).credentials;
  return isKey ? chosenOrganization(api, env, organization) : organizationOf(api, env, organization);
}

/** The organization of the key, or the personal organization of the user. */
export async function ownOrganization(api: Client): Promise<string> {
  const who = await api.auth.whoami();
  if (who.type === 'api_key') return who.api_key.organization_id;
  const { data } = await readPages({ all: true }, (query) => api.organizations.list({ query }));
  const personal = data.find((organization) => organization.personal);
  if (personal) return personal.id;
  throw new Failure(
    'You have no personal organization: name one with --organization, or choose one with `keyledger use`.',
    EXIT_USAGE,
  );
}
