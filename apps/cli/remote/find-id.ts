import { holdsSecret, searchTermOf } from '#libs/api-key-format/search-term.js';
import type { Client } from '#libs/client/client.js';
import { isId, type IdType } from '#libs/contract/ids.js';
import { EXIT_REFUSED, EXIT_USAGE } from '../exit-codes.js';
import { Failure } from './failure.js';
import { readPages, type PageQuery } from './lists.js';

interface Found {
  readonly id: string;
  /** All that a user may call it, besides its id. */
  readonly names: readonly string[];
}

interface Kind {
  readonly type: IdType;
  readonly what: string;
  /** The command that lists them. */
  readonly list: string;
  find(api: Client, text: string, organizationId: string | undefined): Promise<Found[]>;
}

const KINDS = {
  organization: {
    type: 'org',
    what: 'organization',
    list: 'organizations list',
    find: (api) => allNamed((query) => api.organizations.list({ query })),
  },
  /** Only for operators. */
  'any organization': {
    type: 'org',
    what: 'organization',
    list: 'organizations list',
    find: (api, search) => allNamed((page) => api.deployment.listOrganizations({ query: { search, ...page } })),
  },
  project: {
    type: 'proj',
    what: 'project',
    list: 'projects list',
    find: (api, search, organization_id) =>
      allNamed((page) => api.projects.list({ query: { search, organization_id, ...page } })),
  },
  key: {
    type: 'key',
    what: 'API key',
    list: 'keys list',
    find: (api, search, organization_id) =>
      allNamed((page) => api.apiKeys.list({ query: { search, organization_id, ...page } })),
  },
  member: {
    type: 'user',
    what: 'member',
    list: 'members list',
    find: async (api, _, id = '') =>
      (await readPages({ all: true }, (query) => api.members.list({ params: { id }, query }))).data.map(
        ({ user_id, email, name }) => ({ id: user_id, names: [email, name] }),
      ),
  },
  invitation: {
    type: 'inv',
    what: 'invitation',
    list: 'invitations list',
    find: async (api, _, id = '') =>
      (await readPages({ all: true }, (query) => api.invitations.list({ params: { id }, query }))).data.map(
        (invitation) => ({ id: invitation.id, names: invitation.email === null ? [] : [invitation.email] }),
      ),
  },
} as const satisfies Record<string, Kind>;

export type KindOfObject = keyof typeof KINDS;

/** All objects of a list, by their names. */
async function allNamed(read: (page: PageQuery) => Promise<NamedPage>): Promise<Found[]> {
  const { data } = await readPages({ all: true }, read);
  return data.map(({ id, name }) => ({ id, names: [name] }));
}

interface NamedPage {
  readonly data: { readonly id: string; readonly name: string }[];
  readonly next_cursor: string | null;
}

/** Whether the text has the form of an id of any kind. */
export function isAnyId(text: string): boolean {
  return /^[a-z]{2,12}_[0-7][\da-hjkmnp-tv-z]{25}$/.test(text);
}

/** Whether the text is an id of one of these kinds. Ids need no request. */
export function isIdOf(kinds: readonly KindOfObject[], text: string): boolean {
  return kinds.some((kind) => isId(KINDS[kind].type, text));
}

/**
 * The id for what a user typed: an id as it is, or the exact name of one object.
 * @param kinds what it may be; the API is asked for each
 * @param organizationId where it is; required for members and invitations
 * @throws Failure if there is none of that name, or several. It does not repeat a text that may be part of a secret
 */
export async function findId(
  api: Client,
  kinds: readonly KindOfObject[],
  text: string,
  organizationId?: string,
): Promise<string> {
  if (isIdOf(kinds, text)) return text;
  const [first] = kinds.map((kind) => KINDS[kind]);
  const what = whatOf(kinds);
  refuseSecret(kinds, text);
  const lists = await Promise.all(kinds.map((kind) => KINDS[kind].find(api, text, organizationId)));
  // The API stores emails in lower case.
  const called = text.includes('@') ? [text, text.toLowerCase()] : [text];
  const isCalled = ({ names }: Found) => names.some((name) => called.includes(name));
  const ids = [...new Set(lists.flat().flatMap((found) => (isCalled(found) ? [found.id] : [])))];
  if (ids.length === 1) return ids[0]!;
  const name = searchTermOf(text) === text ? ` called ${JSON.stringify(text)}` : ' of that name';
  if (ids.length === 0) {
    throw new Failure(`There is no ${what}${name}: \`keyledger ${first!.list}\` shows what there is.`, EXIT_REFUSED);
  }
  throw new Failure(`There is more than one ${what}${name}. Give the id of one: ${ids.join(', ')}.`, EXIT_USAGE);
}

function whatOf(kinds: readonly KindOfObject[]): string {
  return kinds.map((kind) => KINDS[kind].what).join(' or ');
}

/**
 * Names and ids become part of URLs, which servers log.
 * @throws Failure for a text that may be a secret or a public key, without repeating it
 */
export function refuseSecret(kinds: readonly KindOfObject[], text: string): void {
  if (!holdsSecret(text) && !/^(sk|pk)_/.test(text.trim())) return;
  throw new Failure(
    `The id or the name of the ${whatOf(kinds)} is required, not a secret or a public key. It was not sent: ` +
      '`keyledger keys list --search` finds a key by its beginning.',
    EXIT_USAGE,
  );
}

/** The same for an option that may be left out. */
export async function findOptionalId(
  api: Client,
  kind: KindOfObject,
  text: string | undefined,
  organizationId: string | undefined,
): Promise<string | undefined> {
  return text === undefined ? undefined : findId(api, [kind], text, organizationId);
}
