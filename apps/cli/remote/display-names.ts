import pLimit from 'p-limit';
import { readAuditNames } from '#libs/client/audit-names.js';
import { ApiError, type Client } from '#libs/client/client.js';
import { isId, type IdType } from '#libs/contract/ids.js';
import type { ProblemCode } from '#libs/contract/problem.js';
import { signIn } from './connection.js';

/** What people call the objects with these ids. */
export type Names = ReadonlyMap<string, string>;

/** Requests that wait for the server at once. */
const AT_ONCE = 8;
/** More would take longer than a reader waits. */
const MOST = 200;

/**
 * The names of keys, organizations and projects. An id stays without a name if the caller may not read the object, or it is
 * gone: the names are a help for readers, and no reason to fail. An API key looks up none, because each of its requests
 * is an event of the log that it shows.
 */
export async function displayNames(api: Client, env: NodeJS.ProcessEnv, ids: ReadonlySet<string>): Promise<Names> {
  if ('api_key' in signIn(env).credentials) return new Map();
  const found = await Promise.all([
    readEach(ofType(ids, 'key'), (id) => api.apiKeys.get({ params: { id } })),
    readEach(ofType(ids, 'org'), (id) => api.organizations.get({ params: { id } })),
    readEach(ofType(ids, 'proj'), (id) => api.projects.get({ params: { id } })),
  ]);
  return new Map(found.flat().map(({ id, name }) => [id, name]));
}

/** The same for the ids in the audit log of an organization. Its readers may also know what is gone, and users. */
export async function namesInLog(
  api: Client,
  env: NodeJS.ProcessEnv,
  organizationId: () => Promise<string>,
  ids: ReadonlySet<string>,
): Promise<Names> {
  if ('api_key' in signIn(env).credentials) return new Map();
  const named = (['key', 'proj', 'user'] as const).flatMap((type) => ofType(ids, type));
  const found = await Promise.all([
    named.length === 0 ? [] : orNone(async () => readAuditNames(api, await organizationId(), named)),
    readEach(ofType(ids, 'org'), (id) => api.organizations.get({ params: { id } })),
  ]);
  return new Map(found.flat().map(({ id, name }) => [id, name]));
}

function ofType(ids: ReadonlySet<string>, type: IdType): string[] {
  return [...ids].filter((id) => isId(type, id)).slice(0, MOST);
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

/** @param code the only problem that means that there is none; by default, any */
async function orNone<T>(read: () => Promise<T[]>, code?: ProblemCode): Promise<T[]> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof ApiError && (code === undefined || error.problem.code === code)) return [];
    throw error;
  }
}
