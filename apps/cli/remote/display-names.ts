import pLimit from 'p-limit';
import { ApiError, type Client } from '#libs/client/client.js';
import { isId, type IdType } from '#libs/contract/ids.js';
import type { ProblemCode } from '#libs/contract/problem.js';
import { signIn } from './connection.js';
import { readPages } from './lists.js';

/** What people call the objects with these ids. */
export type Names = ReadonlyMap<string, string>;

/** Requests that wait for the server at once. */
const AT_ONCE = 8;
/** More would take longer than a reader waits. */
const MOST = 200;

/**
 * The names of keys, organizations, projects and users. An id stays without a name if the caller may not read the object, or it is
 * gone: the names are a help for readers, and no reason to fail. An API key looks up none, because each of its requests
 * is an event of the log that it shows.
 */
export async function displayNames(
  api: Client,
  env: NodeJS.ProcessEnv,
  organizationId: () => Promise<string>,
  ids: ReadonlySet<string>,
): Promise<Names> {
  if ('api_key' in signIn(env).credentials) return new Map();
  const of = (type: IdType) => [...ids].filter((id) => isId(type, id)).slice(0, MOST);
  const found = await Promise.all([
    readEach(of('key'), (id) => api.apiKeys.get({ params: { id } })),
    readEach(of('org'), (id) => api.organizations.get({ params: { id } })),
    readEach(of('proj'), (id) => api.projects.get({ params: { id } })),
    of('user').length === 0 ? [] : orNone(async () => membersOf(api, await organizationId())),
  ]);
  return new Map(found.flat().map(({ id, name }) => [id, name]));
}

interface Named {
  readonly id: string;
  readonly name: string;
}

/** Reads the first one alone: who may not read it may read none. */
async function readEach([first, ...others]: readonly string[], read: (id: string) => Promise<Named>): Promise<Named[]> {
  if (first === undefined) return [];
  const limit = pLimit(AT_ONCE);
  try {
    const one = await orNone(async () => [await read(first)], 'not_found');
    const rest = others.map((id) => limit(() => orNone(async () => [await read(id)])));
    return [...one, ...(await Promise.all(rest)).flat()];
  } catch (error) {
    if (error instanceof ApiError) return [];
    throw error;
  }
}

async function membersOf(api: Client, id: string): Promise<Named[]> {
  const { data } = await readPages({ all: true }, (query) => api.members.list({ params: { id }, query }));
  return data.map(({ user_id, name }) => ({ id: user_id, name }));
}

/** @param code the only problem that means that there is none; by default, any */
async function orNone<T>(read: () => Promise<T[]>, code?: ProblemCode): Promise<T[]> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof ApiError && (code === undefined || error.problem.code === code)) return [];
    throw error;
  }
}
