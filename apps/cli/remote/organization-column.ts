import type { Client } from '#libs/client/client.js';
import { readPages } from './lists.js';
import type { WhichOrganizations } from './organizations.js';
import type { Column } from './table.js';

type Names = ReadonlyMap<string, string>;

/** The names of the organizations that the caller may read, if a list has rows of several. */
export async function nameOrganizations(
  api: Client,
  { allOrganizations, json }: WhichOrganizations & { readonly json?: boolean },
): Promise<Names | undefined> {
  if (!allOrganizations || json) return undefined;
  const { data } = await readPages({ all: true }, (query) => api.organizations.list({ query }));
  return new Map(data.map(({ id, name }) => [id, name]));
}

export function organizationColumn(names: Names): Column<{ readonly organization_id: string }> {
  return { title: 'ORGANIZATION', value: ({ organization_id: id }) => names.get(id) ?? id, shrinksTo: 12 };
}
